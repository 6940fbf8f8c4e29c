"""The package for a Salesforce org, as far as it can be looked at without an org: by the metadata WSDL that ships
inside simple-salesforce, and by what the rest of the project says of the same names.
"""

import json
import re
import tomllib
from pathlib import Path

import pytest
import simple_salesforce
from lxml import etree
from pydantic import BaseModel

from connector.sandbox.crms.salesforce import schema
from webhooks.api import schemas

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "mappings" / "salesforce"
METADATA = PACKAGE / "force-app" / "main" / "default"
NAMESPACE = "{http://soap.sforce.com/2006/04/metadata}"
XSD = "{http://www.w3.org/2001/XMLSchema}"
FILES = sorted(METADATA.rglob("*-meta.xml"))
WRITTEN = sorted(path for path in PACKAGE.rglob("*") if path.is_file() and "node_modules" not in path.parts)
PROJECT = json.loads((PACKAGE / "sfdx-project.json").read_text())
MAPPING = tomllib.loads((ROOT / "mappings" / "salesforce.toml").read_text())
ORG_SPECIFIC = {"CCAI_SMS_OUTBOUND_MESSAGE_URL", "CCAI_SMS_SEND_AS_USER", "CCAI_SMS_CONNECTOR_URL"}
TYPES = {"Picklist": "picklist", "DateTime": "datetime", "Text": "string", "Checkbox": "boolean"}


def name(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def read(kind: str, stem: str) -> etree._Element:
    (path,) = METADATA.glob(f"{kind}/{stem}.*-meta.xml")
    return etree.parse(path).getroot()


def all_of(element: etree._Element, path: str) -> list[str]:
    """The text of every element at a path such as fields/name, in whatever namespace."""
    return [one.text or "" for one in element.findall("/".join(NAMESPACE + step for step in path.split("/")))]


def one_of(element: etree._Element, path: str) -> str:
    (found,) = all_of(element, path)
    return found


# The schema of the metadata.


@pytest.fixture(scope="module")
def metadata_schema() -> etree.XMLSchema:
    """The WSDL's types, each as an element of its own, as the files have them."""
    wsdl = etree.parse(Path(simple_salesforce.__file__).with_name("metadata.wsdl"))
    (types,) = wsdl.iter(f"{XSD}schema")
    for kind in {str(etree.parse(path).getroot().tag).removeprefix(NAMESPACE) for path in FILES}:
        etree.SubElement(types, f"{XSD}element", name=kind, type=f"tns:{kind}")
    return etree.XMLSchema(etree.fromstring(etree.tostring(types)))


@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_file_is_as_the_wsdl_says(path: Path, metadata_schema: etree.XMLSchema) -> None:
    root = etree.parse(path).getroot()
    # In the WSDL this is a blob; in source format it is elements.
    for configs in root.findall(f"{NAMESPACE}targetConfigs"):
        root.remove(configs)
    metadata_schema.assertValid(root)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("<status>Active</status>", "<status>Activated</status>"),
        ("<status>Active</status>", "<status>Active</status><state>Active</state>"),
        ("<object>Case</object>", "<object>Case</object><filterLogic>or</filterLogic>"),
        ("<doesRequireRecordChangedToMeetCriteria>true<", "<doesRequireRecordChangedToMeetCriteria>yes<"),
        ("<locationX>50</locationX>", ""),
    ],
    ids=["wrong value", "unknown element", "wrong order", "wrong type", "missing element"],
)
def test_the_check_against_the_wsdl_finds(before: str, after: str, metadata_schema: etree.XMLSchema) -> None:
    text = (METADATA / "flows" / "CCAIP_SMS_Send_Request.flow-meta.xml").read_text()
    assert text.count(before) == 1
    with pytest.raises(etree.DocumentInvalid):
        metadata_schema.assertValid(etree.fromstring(text.replace(before, after).encode()))


def test_one_version_everywhere() -> None:
    versions = {version for path in FILES for version in all_of(etree.parse(path).getroot(), "apiVersion")}
    assert versions == {PROJECT["sourceApiVersion"]} == {"67.0"}


# Names that the rest of the project has too.


def packaged() -> dict[str, etree._Element]:
    """The package's fields, such as Case.CCAIP_Chat_Id__c."""
    return {
        f"{path.parts[-3]}.{one_of(etree.parse(path).getroot(), 'fullName')}": etree.parse(path).getroot()
        for path in METADATA.glob("objects/*/fields/*")
    }


def mapped() -> set[str]:
    """The custom fields that the mapping reads, as the org names them."""
    paths = (path.split(".") for path in MAPPING["fields"].values() if path.endswith("__c"))
    return {".".join(path if len(path) == 2 else ["Case", *path]) for path in paths}


def written_back() -> set[str]:
    return {f"Case.{field}" for outcome in MAPPING["write_back"].values() for field in outcome}


def granted(stem: str) -> dict[str, bool]:
    """The fields that a permission set lets somebody read, and whether to edit."""
    root = read("permissionsets", stem)
    fields = zip(all_of(root, "fieldPermissions/field"), all_of(root, "fieldPermissions/editable"), strict=True)
    return {field: editable == "true" for field, editable in fields}


def test_the_fields_are_those_of_the_sandbox() -> None:
    emulated = {f"{thing.name}.{field}" for thing in schema.OBJECTS.values() for field in thing.fields}
    assert set(packaged()) == {field for field in emulated if ".CCAIP_" in field}
    for full_name, field in packaged().items():
        twin = schema.OBJECTS[full_name.partition(".")[0]].fields[full_name.partition(".")[2]]
        assert TYPES[one_of(field, "type")] == twin.type
        assert one_of(field, "label") == twin.label
        assert all_of(field, "length") == ([str(twin.length)] if twin.type == "string" else [])
        assert all_of(field, "valueSet/valueSetDefinition/value/fullName") == list(twin.picklist)
        assert all_of(field, "valueSet/restricted") == (["true"] if twin.restricted else [])
        assert one_of(field, "description")
        assert one_of(field, "inlineHelpText")


def test_the_fields_are_those_of_the_mapping() -> None:
    assert mapped() | written_back() == set(packaged())
    values = all_of(packaged()["Case.CCAIP_SMS_Status__c"], "valueSet/valueSetDefinition/value/fullName")
    tables = {name: table for name, table in MAPPING["write_back"].items() if name != "chat"}  # it follows the outcome
    assert {table["CCAIP_SMS_Status__c"] for table in tables.values()} < set(values)


def test_the_integration_user_reads_what_is_mapped_and_edits_what_is_written() -> None:
    fields = granted("CCAIP_SMS_Integration")
    assert mapped() | written_back() <= set(fields)
    checkboxes = {MAPPING["fields"][MAPPING[table]["field"]] for table in ("opt_outs", "invalid_numbers")}
    assert {field for field, editable in fields.items() if editable} == written_back() | checkboxes
    assert one_of(read("permissionsets", "CCAIP_SMS_Integration"), "customPermissions/name") == "CCAIP_SMS_Bypass"
    assert read("customPermissions", "CCAIP_SMS_Bypass") is not None


def test_an_agent_edits_the_status_and_reads_the_rest() -> None:
    fields = granted("CCAIP_SMS_Agent")
    assert set(fields) == set(packaged())
    assert [field for field in fields if field.startswith("Case.") and fields[field]] == ["Case.CCAIP_SMS_Status__c"]
    root = read("permissionsets", "CCAIP_SMS_Agent")
    assert (METADATA / "classes" / f"{one_of(root, 'classAccesses/apexClass')}.cls").is_file()
    assert read("flows", one_of(root, "flowAccesses/flow")) is not None
    credential, principal = one_of(root, "externalCredentialPrincipalAccesses/externalCredentialPrincipal").split("-")
    assert principal in all_of(read("externalCredentials", credential), "externalCredentialParameters/parameterName")


# What happens when.


@pytest.mark.parametrize(
    ("stem", "when"), [("CCAIP_SMS_Stamp_Request", "RecordBeforeSave"), ("CCAIP_SMS_Send_Request", "RecordAfterSave")]
)
def test_a_flow_fires_only_when_the_status_becomes_requested(stem: str, when: str) -> None:
    flow = read("flows", stem)
    (start,) = flow.findall(f"{NAMESPACE}start")
    assert one_of(start, "triggerType") == when
    assert one_of(start, "object") == "Case"
    assert one_of(start, "recordTriggerType") == "CreateAndUpdate"
    assert one_of(start, "doesRequireRecordChangedToMeetCriteria") == "true"
    assert one_of(start, "filters/field") == "CCAIP_SMS_Status__c"
    assert one_of(start, "filters/operator") == "EqualTo"
    assert one_of(start, "filters/value/stringValue") == "Requested"
    assert one_of(flow, "status") == "Active"


def test_a_request_is_stamped_and_told() -> None:
    stamp = read("flows", "CCAIP_SMS_Stamp_Request")
    assert one_of(stamp, "assignments/assignmentItems/assignToReference") == "$Record.CCAIP_SMS_Requested_At__c"
    assert "requested_at" in MAPPING["rules"][0]["once_per"], "a new time is a new reason"
    tell, message = read("flows", "CCAIP_SMS_Send_Request"), read("workflows", "Case")
    assert one_of(tell, "actionCalls/actionType") == "outboundMessage"
    assert one_of(tell, "actionCalls/actionName") == f"Case.{one_of(message, 'outboundMessages/fullName')}"
    # It is about the record that triggered the flow, without being told.
    assert all_of(tell, "actionCalls/inputParameters/name") == []
    assert all_of(message, "outboundMessages/fields") == ["Id", "LastModifiedById"]
    assert one_of(message, "outboundMessages/includeSessionId") == "false"


def leads_to(element: etree._Element, connector: str = "connector") -> str:
    return one_of(element, f"{connector}/targetReference")


def test_a_request_that_was_lost_can_be_made_again_after_a_day() -> None:
    """It is withdrawn first, since only a change to Requested sets a new time; a screen in between commits that."""
    flow = read("flows", "CCAIP_SMS_Request_Text")
    steps = {one_of(step, "name"): step for step in flow if all_of(step, "name") and all_of(step, "label")}
    lost, under_way = steps["Already_requested"].findall(f"{NAMESPACE}rules")  # the first one that holds decides
    for rule in (lost, under_way):
        assert all_of(rule, "conditions/leftValueReference")[0] == "Find_the_case.CCAIP_SMS_Status__c"
        assert all_of(rule, "conditions/rightValue/stringValue") == ["Requested"]
        assert one_of(rule, "conditionLogic") == "and"
    assert (leads_to(under_way), leads_to(lost)) == ("Under_way", "Lost")
    assert all_of(lost, "conditions/leftValueReference")[1:] == [one_of(flow, "formulas/name")]
    stamp = "Find_the_case.CCAIP_SMS_Requested_At__c"
    assert one_of(flow, "formulas/expression") == f"OR(ISBLANK({{!{stamp}}}), {{!{stamp}}} < NOW() - 1)"
    assert stamp.partition(".")[2] in all_of(steps["Find_the_case"], "queriedFields")

    way = ["Lost"]
    while way[-1] != "Requested":
        connector = "defaultConnector" if way[-1] == "Already_requested" else "connector"
        way.append(leads_to(steps[way[-1]], connector))
    assert way == ["Lost", "Withdraw", "Find_the_case", "Already_requested", "Ask", "Request", "Requested"]
    withdraw = steps["Withdraw"]
    assert all_of(withdraw, "filters/field") == ["Id", "CCAIP_SMS_Status__c"], "an outcome that came meanwhile stays"
    assert one_of(withdraw, "filters/value/stringValue") == "Requested"
    assert one_of(withdraw, "inputAssignments/field") == "CCAIP_SMS_Status__c"
    assert one_of(withdraw, "inputAssignments/value/elementReference") == "$GlobalConstant.EmptyString"


def test_a_flow_leads_only_to_what_it_has() -> None:
    for path in METADATA.glob("flows/*"):
        flow = etree.parse(path).getroot()
        names = {one.text for child in flow for one in child.findall(f"{NAMESPACE}name")}
        assert {one.text for one in flow.iter(f"{NAMESPACE}targetReference")} <= names


def test_the_actions_start_what_is_there() -> None:
    assert read("flows", one_of(read("quickActions", "Case.Request_Text"), "flowDefinition")) is not None
    bundle = one_of(read("quickActions", "Case.Text_Customer"), "lightningWebComponent")
    assert one_of(read(f"lwc/{bundle}", bundle), "targetConfigs/targetConfig/actionType") == "ScreenAction"
    component = (METADATA / "lwc" / bundle / f"{bundle}.js").read_text()
    for apex, method in re.findall(r"@salesforce/apex/(\w+)\.(\w+)", component):
        source = (METADATA / "classes" / f"{apex}.cls").read_text()
        assert re.search(rf"@AuraEnabled\s+public static \w+ {method}\(", source)
        assert "with sharing class" in source
        (credential,) = set(re.findall(r"callout:(\w+)", source))
        assert read("namedCredentials", credential) is not None


# What the API takes and gives.


def names_of(model: type[BaseModel]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


def test_apex_asks_for_what_the_api_takes() -> None:
    source = (METADATA / "classes" / "TextCustomerController.cls").read_text()
    put = set(re.findall(r"put\((?:body, )?'(\w+)'", source)) | set(re.findall(r"\{ '(\w+)' =>", source))
    assert put <= names_of(schemas.SendBody)
    words = {"ticket_id", "message", "template", "override", "overrides", "send_at", "language"}
    assert words | {"after", "agent_name", "agent_email"} == put


def test_the_component_is_tested_with_what_the_api_answers() -> None:
    answers = json.loads((PACKAGE / "tests" / "answers.json").read_text())
    texts = dict.fromkeys(("sent", "queued", "scheduled", "cancelled"), schemas.Text)
    models: dict[str, type[BaseModel]] = {"preview": schemas.Preview, **texts}
    for answer, model in models.items():
        assert set(answers[answer]) <= names_of(model)
    schemas.Preview.model_validate(answers["preview"] | {"crm": "salesforce", "findings": answers["stopped"]})
    component = "".join(path.read_text() for path in (METADATA / "lwc" / "textCustomer").glob("*.[jh]*"))
    shown = set(re.findall(r"\b(?:shown|found)\.(\w+)", component))
    assert {"customer", "to", "from", "message", "allowed", "findings", "after"} < shown
    assert shown <= names_of(schemas.Preview)
    assert set(re.findall(r"\b(?:text|last)\.(\w+)", component)) <= names_of(schemas.Text)


# What must not be in it.


def test_the_replacements_name_what_is_there() -> None:
    assert {one["replaceWithEnv"] for one in PROJECT["replacements"]} == ORG_SPECIFIC
    for one in PROJECT["replacements"]:
        assert (PACKAGE / one["filename"]).read_text().count(one["stringToReplace"]) == 1
        assert "allowUnsetEnvVariable" not in one


@pytest.mark.parametrize("path", WRITTEN, ids=name)
def test_no_key_and_no_real_address_is_in_it(path: Path) -> None:
    text = path.read_text()
    hosts = set(re.findall(r"https?://([\w.-]+)", text)) - {"soap.sforce.com"}
    assert {host for host in hosts if not host.endswith(".invalid")} == set()
    assert "registry" not in text
    secrets = re.findall(r"\b(?=[A-Za-z]*\d)[0-9A-Za-z]{24,}\b", text)
    assert secrets == ([] if not path.name.endswith("Test.cls") else ["0123456789abcdef" * 2])
