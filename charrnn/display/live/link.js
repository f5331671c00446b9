// Where the engine runs: in a worker made of this same script or, where a page may
// have none, between the page's own events.

/**
 * Do some work as soon as other messages had their turn.
 * @returns {(work: () => void) => void}
 */
function laterByMessage() {
  const channel = new MessageChannel();
  /** @type {Array<() => void>} */
  const waiting = [];
  channel.port1.onmessage = () => waiting.shift()?.();
  return (work) => {
    waiting.push(work);
    channel.port2.postMessage(0);
  };
}

/**
 * Make an engine of the first message, and hand it the others.
 * @param {(message: any) => void} tell
 * @param {(work: () => void) => void} later
 * @returns {(message: any) => void}
 */
function engineBehind(tell, later) {
  /** @type {Engine|null} */
  let engine = null;
  return (message) => {
    if (message.kind !== "model") return engine?.take(message);
    const network = new Network(message.facts, decodeBase64(message.weights));
    engine = new Engine(network, tell, later);
    return tell({ kind: "ready" });
  };
}

/** Be the worker. */
function serveAsWorker() {
  const take = engineBehind((message) => self.postMessage(message), laterByMessage());
  self.onmessage = ({ data }) => take(data);
}

/**
 * Start an engine.
 * @param {string} program this script
 * @param {any} model its first message
 * @param {(message: any) => void} hear
 * @returns {(message: any) => void} what sends it messages
 */
function startEngine(program, model, hear) {
  const inSlices = () => {
    const send = engineBehind(hear, (work) => void setTimeout(work, 0));
    send(model);
    return send;
  };
  /** @type {any[]|null} what was sent before the worker answered */
  let sent = [];
  /** @type {(message: any) => void} */
  let send = () => {};
  try {
    const address = URL.createObjectURL(new Blob([program], { type: "text/javascript" }));
    const worker = new Worker(address);
    worker.onmessage = ({ data }) => {
      sent = null;
      hear(data);
    };
    worker.onerror = () => {
      if (!sent) return;
      const missed = sent;
      sent = null;
      send = inSlices();
      missed.forEach((message) => send(message));
    };
    send = (message) => {
      sent?.push(message);
      worker.postMessage(message);
    };
    worker.postMessage(model);
  } catch {
    sent = null;
    send = inSlices();
  }
  return (message) => send(message);
}
