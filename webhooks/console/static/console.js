// The console's scripts. Without them every page works by reloading.
import { startKeyboard } from "./keyboard.js";
import { startLive } from "./live.js";
import { localTimes } from "./times.js";

localTimes(document);
startKeyboard();
startLive();
