// What pages do beyond links and forms: copy a text, follow a run. Everything works without it.

for (const button of document.querySelectorAll("button[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const text = document.getElementById(button.dataset.copy).textContent;
    const said = button.textContent;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(document.getElementById(button.dataset.copy));
      button.textContent = "Selected";
    }
    setTimeout(() => (button.textContent = said), 2000);
  });
}

// A form is sent once, however often somebody presses; a page that is gone back to sends again.
addEventListener("submit", (event) => {
  if (event.target.method !== "post") return;
  if (event.target.dataset.sent) event.preventDefault();
  event.target.dataset.sent = "yes";
});
addEventListener("pageshow", () => {
  for (const form of document.forms) delete form.dataset.sent;
});

const log = document.querySelector("[data-follow]");
if (log) {
  const events = new EventSource(log.dataset.follow);
  const message = document.getElementById("message");
  events.addEventListener("log", (event) => {
    const isAtEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 24;
    log.append(event.data + "\n");
    if (isAtEnd) log.scrollTop = log.scrollHeight;
  });
  events.addEventListener("progress", (event) => {
    if (message && event.data) message.textContent = event.data;
  });
  events.addEventListener("timeline", (event) => {
    document.getElementById("timeline").innerHTML = event.data;
  });
  // The page as it is now has the outcome and what may be done next.
  events.addEventListener("over", () => {
    events.close();
    location.reload();
  });
}
