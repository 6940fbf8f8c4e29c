// The page's scripts. Without them the page works by reloading.
import { begin, byId } from "./parts.js";
import { startWatching } from "./watching.js";
import { startWriting } from "./writing.js";

begin();
if (byId("write")) startWriting(byId("write"));
if (byId("watch")) startWatching(byId("watch"));
