// Images come from script files beside the page: a page opened from a folder may load scripts, but fetch nothing.
// Each file calls csiqImage once. Loaded when needed, the next one ahead, and let go when others come.
const Volumes = (() => {
  const KEPT = 6;
  const held = new Map(); // id -> promise of {grey, size: [nx, ny, nz], oriented}, the last used last
  const waiting = new Map(); // id -> functions that settle the promise

  function load(id) {
    const found = held.get(id) || request(id);
    held.delete(id);
    held.set(id, found);
    while (held.size > KEPT) held.delete(held.keys().next().value);
    return found;
  }

  function request(id) {
    const promise = new Promise((resolve, reject) => {
      const script = document.createElement("script");
      const fail = (why) => {
        waiting.delete(id);
        held.delete(id); // so that it can be tried again
        reject(new Error(why));
      };
      waiting.set(id, { resolve, fail });
      script.src = `images/${id}.js`;
      script.onerror = () => fail("The image file is missing.");
      script.onload = () => {
        script.remove();
        // a file that called csiqImage took its entry away; one cut short could not
        if (waiting.has(id)) fail("The image file is damaged.");
      };
      document.head.append(script);
    });
    promise.catch(() => {}); // whoever shows it says so; loading ahead does not
    return promise;
  }

  window.csiqImage = (header, packed) => {
    const { resolve, fail } = waiting.get(header.id) || {};
    waiting.delete(header.id);
    if (resolve) decode(header, packed).then(resolve, () => fail("The image file is damaged."));
  };

  async function decode(header, packed) {
    const text = atob(packed);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    const grey = new Uint8Array(await new Response(stream).arrayBuffer());
    const [nz, ny, nx] = header.shape;
    if (grey.length !== nz * ny * nx) throw new Error("size");
    // what is stored are differences along x; bytes wrap at 256 here as they did when written
    for (let row = 0; row < grey.length; row += nx)
      for (let i = row + 1; i < row + nx; i++) grey[i] += grey[i - 1];
    return { grey, size: [nx, ny, nz], oriented: header.oriented };
  }

  return { load };
})();
