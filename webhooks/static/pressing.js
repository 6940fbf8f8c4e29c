// A click counts only where the pointer is released over what it was pressed on. So nothing moves in between.
let pressed = false;
let held = [];

export const isPressed = () => pressed;

// Makes a change of the page now, or once the pointer is released.
export function onceReleased(change) {
  if (pressed) held.push(change);
  else change();
}

// Only the first button clicks. A menu that opens takes the release for itself.
export function watchPointer() {
  addEventListener("pointerdown", (event) => {
    pressed = event.button === 0 && event.target.closest("a, button, label, summary") !== null;
  }, true);
  for (const end of ["pointerup", "pointercancel", "contextmenu"]) addEventListener(end, released, true);
}

function released() {
  pressed = false;
  const changes = held;
  held = [];
  setTimeout(() => changes.forEach(onceReleased)); // the click comes first
}
