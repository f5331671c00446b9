// The same script is the page's program and the worker's.
if (typeof document === "undefined") serveAsWorker();
else new LivePage(/** @type {HTMLScriptElement} */ (document.currentScript).text);
