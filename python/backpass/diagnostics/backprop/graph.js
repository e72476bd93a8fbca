// The graph of the network, from the inputs down to the loss: units as circles where there are few, else a box for a layer.

const FEW_UNITS = 7;
const [WIDTH, HEIGHT, RADIUS] = [400, 104, 20];

function shape(kind, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", kind);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

const short = (value) => (typeof value === "number" ? String(Number(value.toPrecision(3))) : value);

// The numbers of the first row, if they are few.
function unitsOf(node, key) {
  const array = node.arrays.find((one) => one.key === key);
  if (!array || !array.numbers || array.shape.length > 2 || !array.numbers.length) return null;
  const count = array.shape.length === 2 ? array.shape[1] : 1;
  return count <= FEW_UNITS ? array.numbers.slice(0, count) : null;
}

function drawGraph(step, choose) {
  const height = HEIGHT * step.nodes.length;
  const graph = shape("svg", { viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": "graph of the network" });
  const [edges, boxes] = [shape("g", {}), shape("g", {})];
  const places = step.nodes.map((node, number) => drawNode(boxes, node, HEIGHT * number + 36));
  step.nodes.forEach((node, number) => {
    for (const source of node.sources) if (source >= 0) drawEdges(edges, step, source, number, places, choose);
  });
  graph.append(edges, boxes);
  return graph;
}

function drawNode(into, node, top) {
  const units = unitsOf(node, "output");
  const title = `${node.name}  ${node.shown}`;
  const place = { y: top + RADIUS + 4, x: [WIDTH / 2], units: false };
  into.append(shape("rect", { x: 0, y: top - 30, width: Math.min(WIDTH, 16 + 7 * Math.min(title.length, 48)), height: 20, style: "fill: var(--ground)" }));
  into.append(shape("text", { x: 2, y: top - 15 }, title.length > 48 ? title.slice(0, 47) + "…" : title));
  if (!units) {
    into.append(shape("rect", { class: "box", x: WIDTH / 2 - 90, y: top + 4, width: 180, height: 34, rx: 5 }));
    const output = node.arrays.find((one) => one.key === "output");
    const size = output ? output.shape.join(" × ") : "";
    into.append(shape("text", { class: "unit forward", x: WIDTH / 2, y: top + 25 }, size));
    return place;
  }
  place.units = true;
  const gap = Math.min(66, (WIDTH - 40) / units.length);
  place.x = units.map((_, n) => WIDTH / 2 + gap * (n - (units.length - 1) / 2));
  const back = unitsOf(node, "arriving");
  units.forEach((value, n) => {
    into.append(shape("circle", { cx: place.x[n], cy: place.y, r: RADIUS }));
    into.append(shape("text", { class: "unit forward", x: place.x[n], y: place.y + (back ? -1 : 4) }, short(value)));
    if (back) into.append(shape("text", { class: "unit back", x: place.x[n], y: place.y + 11 }, short(back[n])));
  });
  return place;
}

function drawEdges(into, step, source, number, places, choose) {
  const [node, from, to] = [step.nodes[number], places[source], places[number]];
  const [above, below] = [from.y + RADIUS, to.y - RADIUS];
  const weight = node.linear && node.weights.find((one) => one.key === "weight");
  const apart = number - source > 1;
  if (apart) {
    const d = `M ${from.x.at(-1) + 12} ${above - 6} C ${WIDTH + 6} ${above + 30}, ${WIDTH + 6} ${below - 30}, ${to.x.at(-1) + 12} ${below + 6}`;
    into.append(shape("path", { class: "edge", d }));
  } else if (weight && weight.value.numbers && from.units && to.units && from.x.length === weight.value.shape[1]) {
    drawWeights(into, node, weight, from, to, choose);
  } else if (from.units && to.units && from.x.length === to.x.length && node.kind !== "loss") {
    from.x.forEach((x, n) => into.append(shape("line", { class: "edge", x1: x, y1: above, x2: to.x[n], y2: below })));
  } else {
    for (const x of from.x) for (const end of to.x) into.append(shape("line", { class: "edge", x1: x, y1: above, x2: end, y2: below }));
  }
}

// Blue and whole above 0, orange and dashed below; as thick as the weight is large among those of its layer.
function drawWeights(into, node, weight, from, to, choose) {
  const [units, inputs] = weight.value.shape;
  const largest = Math.max(...weight.value.numbers.map(Math.abs)) || 1;
  for (let index = 0; index < units * inputs; index++) {
    const value = weight.value.numbers[index];
    const ends = { x1: from.x[index % inputs], y1: from.y + RADIUS, x2: to.x[Math.floor(index / inputs)], y2: to.y - RADIUS };
    const width = (1 + (3 * Math.abs(value)) / largest).toFixed(2);
    const place = `${node.name}.${weight.key}[${index}]`;
    into.append(shape("line", { ...ends, class: value < 0 ? "weight negative" : "weight", "stroke-width": width, "data-weight": place }));
    const hit = shape("line", { ...ends, class: "hit" });
    hit.append(shape("title", {}, `${node.name}.${weight.key} ${short(value)}`));
    hit.addEventListener("click", () => choose(node, weight, index));
    into.append(hit);
  }
}
