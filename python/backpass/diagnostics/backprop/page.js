// The page: head, graph, a card for each node, and the chain of the weight that was clicked.

function element(kind, text, name) {
  const made = document.createElement(kind);
  made.textContent = text;
  if (name) made.className = name;
  return made;
}

// The numbers as a table with a row for each of the last dimension; `cell` fills one.
function tableOf(array, cell) {
  const [frame, table] = [element("div", "", "numbers"), element("table", "")];
  const columns = array.shape.at(-1) ?? 1;
  for (let start = 0; start < array.numbers.length; start += columns) {
    const row = table.insertRow();
    for (let n = start; n < Math.min(start + columns, array.numbers.length); n++) cell(row.insertCell(), n);
  }
  frame.append(table);
  return frame;
}

function blockOf(array, tint, cell) {
  const block = element("div", "");
  const shaped = array.shape.length > 2 ? ` (${array.shape.join(" × ")})` : "";
  block.append(element("h3", array.title + shaped, tint));
  if (!array.numbers) block.append(element("p", array.summary, "faint"));
  else block.append(tableOf(array, cell ?? ((place, n) => (place.textContent = six(array.numbers[n])))));
  return block;
}

function weightOf(node, weight, choose) {
  const line = element("div", "", "arrays weight-arrays");
  const cell = (place, n) => {
    const button = element("button", six(weight.value.numbers[n]));
    button.dataset.weight = place.dataset.weight = `${node.name}.${weight.key}[${n}]`;
    button.addEventListener("click", () => choose(node, weight, n));
    place.append(button);
  };
  line.append(blockOf(weight.value, "forward", cell));
  if (weight.frozen) line.append(element("p", "frozen: no gradient", "faint"));
  else line.append(blockOf(weight.gradient, "back"), blockOf(weight.update, "back"));
  return line;
}

function cardOf(node, choose) {
  const [card, arrays] = [element("section", "", "layer"), element("div", "", "arrays")];
  const back = ["slope", "arriving", "leaving"];
  arrays.append(...node.arrays.map((array) => blockOf(array, back.some((key) => array.key.startsWith(key)) ? "back" : "forward")));
  const head = element("h2", `${node.name} `);
  head.append(element("span", node.shown, "faint"));
  card.append(head, element("p", node.formula, "faint"), element("p", node.note, "faint"), arrays);
  card.append(...node.weights.map((weight) => weightOf(node, weight, choose)));
  return card;
}

function build(step) {
  const [head, graph, cards, foot] = ["header", "div", "div", "footer"].map((kind) => element(kind, ""));
  const chain = element("section", "");
  chain.id = "chain";
  chain.append(element("p", "Click a weight, a line or an underlined number, to see what its gradient is the product of.", "faint"));
  const choose = (node, weight, index) => {
    const place = `${node.name}.${weight.key}[${index}]`;
    for (const one of document.querySelectorAll("[data-weight]")) one.classList.toggle("chosen", one.dataset.weight === place);
    showChain(step, chain, node, weight, index);
  };
  const rows = step.rows === 1 ? "1 row" : `${step.rows} rows`;
  head.append(element("h1", `One step of backpropagation: ${rows}, loss ${six(step.loss)}`), element("p", step.setting, "faint"));
  const key = element("p", "", "faint");
  key.append(element("span", "Forward: values. ", "forward"), element("span", "Backward: gradients. ", "back"));
  key.append("In the graph, of row 0. Lines of weights below 0 are dashed.");
  head.append(key);
  graph.className = "graph";
  graph.append(drawGraph(step, choose));
  cards.append(...step.nodes.map((node) => cardOf(node, choose)));
  if (step.left.arrays) {
    foot.append(element("p", `Left out: ${step.left.numbers} numbers of ${step.left.arrays} arrays, of which summaries stand here. to_dict() has them all.`, "left-out"));
  }
  document.getElementById("page").replaceChildren(head, graph, cards, foot, chain);
}

build(JSON.parse(document.getElementById("step").textContent));
