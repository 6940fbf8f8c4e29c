// A real jsforce against the sandbox: SANDBOX_URL names it. Prints what it got as one line of JSON.
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.env.JSFORCE_HOME, "package.json"));
const jsforce = require("jsforce");

const url = process.env.SANDBOX_URL;
const connection = new jsforce.Connection({
  instanceUrl: url,
  version: "67.0",
  oauth2: { loginUrl: url, clientId: "sandbox-client", clientSecret: "sandbox-secret" },
});
const user = await connection.authorize({ grant_type: "client_credentials" });
const cases = connection.sobject("Case");
const seen = { user };

seen.identity = (await connection.identity()).username;
seen.described = (await cases.describe()).fields.map((field) => field.name);
seen.globally = (await connection.describeGlobal()).sobjects.map((thing) => thing.name);

const query = "SELECT Id, CaseNumber, Contact.MobilePhone FROM Case ORDER BY CaseNumber";
const found = await connection.query(query, { autoFetch: true, maxFetch: 10000 });
seen.queried = { total: found.totalSize, fetched: found.records.length, first: found.records[0] };

const made = await cases.create({ Subject: "From jsforce", External_Id__c: "js-1" });
seen.created = made.success;
seen.updated = (await cases.update({ Id: made.id, CCAIP_SMS_Status__c: "Sent" })).success;
seen.upserted = (await cases.upsert({ External_Id__c: "js-1", Subject: "Upserted" }, "External_Id__c")).success;
seen.retrieved = await cases.retrieve(made.id);

const updates = [{ Id: made.id, CCAIP_Chat_Id__c: "114" }, { Id: found.records[0].Id, CCAIP_Chat_Id__c: "x".repeat(21) }];
seen.many = (await cases.update(updates, { allOrNone: false })).map((each) => each.errors?.[0]?.statusCode ?? "ok");

const refused = await connection.query("SELECT Id FROM").catch((error) => error.errorCode);
seen.refused = refused;

connection.bulk2.pollInterval = 10;
const rows = await (await connection.bulk2.query("SELECT Id, Subject FROM Case")).toArray();
seen.bulk = { rows: rows.length, subject: rows.find((row) => row.Id === made.id)?.Subject };

seen.deleted = (await cases.destroy(made.id)).success;
seen.usage = connection.limitInfo.apiUsage;
console.log(JSON.stringify(seen));
