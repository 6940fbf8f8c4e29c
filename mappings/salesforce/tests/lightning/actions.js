/** Stands for lightning/actions, which sfdx-lwc-jest does not have. */
export class CloseActionScreenEvent extends CustomEvent {
    constructor() {
        super('lightning__actionsclosescreen');
    }
}
