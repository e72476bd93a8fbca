// The graph of the network, from the inputs down to the loss: units as circles where there are few, else a box for a layer.

const FEW_UNITS = 6;
// Names stand left of MARGIN; RADIUS is half the height of a unit.
const [WIDTH, HEIGHT, RADIUS, MARGIN] = [420, 84, 18, 124];
const MIDDLE = (MARGIN + WIDTH - 26) / 2;

function shape(kind, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", kind);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function short(value) {
  if (typeof value !== "number") return value;
  const texts = [3, 2].map((digits) => String(Number(value.toPrecision(digits))));
  return texts.find((text) => text.length <= 6 + (value < 0)) ?? value.toExponential(0);
}

const cut = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

// The numbers of the first row, if they are few.
function unitsOf(node, key) {
  const array = node.arrays.find((one) => one.key === key);
  if (!array || !array.numbers || array.shape.length > 2 || !array.numbers.length) return null;
  const count = array.shape.length === 2 ? array.shape[1] : 1;
  return count <= FEW_UNITS ? array.numbers.slice(0, count) : null;
}

function drawGraph(step, choose) {
  const height = HEIGHT * (step.nodes.length - 1) + 2 * RADIUS + 12;
  const graph = shape("svg", { viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": "graph of the network" });
  const [edges, boxes] = [shape("g", {}), shape("g", {})];
  const places = step.nodes.map((node, number) => drawNode(boxes, node, HEIGHT * number + 6));
  step.nodes.forEach((node, number) => {
    for (const source of node.sources) if (source >= 0) drawEdges(edges, step, source, number, places, choose);
  });
  graph.append(edges, boxes);
  return graph;
}

function drawNode(into, node, top) {
  const units = unitsOf(node, "output");
  const place = { y: top + RADIUS, x: [MIDDLE], units: false };
  const name = shape("text", { x: 0, y: place.y - 3, class: "name" }, cut(node.name, 16));
  name.append(shape("title", {}, `${node.name}  ${node.shown}`));
  into.append(name, shape("text", { x: 0, y: place.y + 12, class: "layer-name" }, cut(node.shown, 20)));
  if (!units) {
    into.append(shape("rect", { class: "box", x: MIDDLE - 80, y: top, width: 160, height: 2 * RADIUS, rx: 5 }));
    const output = node.arrays.find((one) => one.key === "output");
    into.append(shape("text", { class: "unit forward", x: MIDDLE, y: place.y + 4 }, output ? output.shape.join(" × ") : ""));
    return place;
  }
  place.units = true;
  const gap = Math.min(62, (WIDTH - 26 - MARGIN) / units.length);
  place.x = units.map((_, n) => MIDDLE + gap * (n - (units.length - 1) / 2));
  const back = unitsOf(node, "arriving");
  units.forEach((value, n) => {
    const half = Math.min(25, gap / 2 - 1.5);
    into.append(shape("rect", { class: "box", x: place.x[n] - half, y: top, width: 2 * half, height: 2 * RADIUS, rx: 10 }));
    into.append(shape("text", { class: "unit forward", x: place.x[n], y: place.y + (back ? -3 : 4) }, short(value)));
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
    const [start, end] = [from, to].map((place) => place.x.at(-1) + (place.units ? 14 : 70));
    const d = `M ${start} ${above} C ${WIDTH - 4} ${above + 40}, ${WIDTH - 4} ${below - 40}, ${end} ${below}`;
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
