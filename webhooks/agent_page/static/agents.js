// The page's scripts. The page does all of this without them as well, by loading again.
import { begin, byId } from "./parts.js";
import { startWatching } from "./watching.js";
import { startWriting } from "./writing.js";

begin();
if (byId("write")) startWriting(byId("write"));
if (byId("watch")) startWatching(byId("watch"));
