// The chain of factors of one weight: for each row of the batch what arrives, local slopes, and what the weight multiplies.

const six = (value) => (typeof value === "number" ? String(Number(value.toPrecision(6))) : value);
const MOST_ROWS = 32;

// The indices of an element.
function placeIn(shape, index) {
  const found = [];
  for (const size of [...shape].reverse()) {
    found.unshift(index % size);
    index = Math.floor(index / size);
  }
  return found;
}

function factorsOf(chain, row, unit, input) {
  const found = chain.factors.map((factor) => factor.numbers[row * chain.units + unit]);
  return [...found, input === null ? 1 : chain.x[row * chain.inputs + input]];
}

function showChain(step, place, node, weight, index) {
  const [key, w, chain, shape] = [weight.key, weight.symbol, node.chain, weight.value.shape];
  const bias = shape.length === 1;
  const unit = Math.floor(index / (bias ? 1 : shape[1]));
  const input = bias ? null : index % shape[1];
  const name = `${node.name}.${key}[${placeIn(shape, index).join(", ")}]`;
  place.replaceChildren(element("h2", `${name} = ${six(weight.value.numbers[index])}`));
  const gradient = weight.gradient && weight.gradient.numbers ? weight.gradient.numbers[index] : null;
  const update = weight.update.numbers ? weight.update.numbers[index] : null;
  if (weight.frozen) place.append(element("p", "It is frozen: no gradient, no update."));
  else if (!chain || !["weight", "bias"].includes(key)) {
    place.append(element("p", `dL/d${w} = Σ dL/dy · dy/d${w} over all rows and places where the layer uses it; to_dict() has the arrays.`, "back"));
  } else addProducts(step, place, node, w, chain, unit, input);
  if (gradient !== null) place.append(element("p", `dL/d${w} of the program: ${six(gradient)}`, "gradient"));
  if (update !== null) {
    const after = weight.value.numbers[index] - update;
    place.append(element("p", `The optimizer takes ${six(update)} off: ${six(weight.value.numbers[index])} → ${six(after)}`, "after"));
  }
}

function addProducts(step, place, node, w, chain, unit, input) {
  const labels = [...chain.factors.map((factor) => factor.label), `dy[${node.name}]/d${w}`];
  const over = chain.rows > 1 ? `Σ over ${chain.rows} rows of ` : "";
  place.append(element("p", `dL/d${w} = ${over}${labels.join(" · ")}`, "back"));
  let sum = 0;
  const list = element("div", "", "factors");
  for (let row = 0; row < chain.rows; row++) {
    const factors = factorsOf(chain, row, unit, input);
    const product = factors.reduce((a, b) => a * b, 1);
    sum += product;
    const start = chain.rows > 1 ? `row ${row}: ` : "";
    if (row < MOST_ROWS) list.append(element("p", `${start}${factors.map(six).join(" · ")} = ${six(product)}`, "product-of-row"));
  }
  if (chain.rows > MOST_ROWS) list.append(element("p", `and ${chain.rows - MOST_ROWS} rows more`));
  const use = chain.uses > 1 ? ` of this use, one of ${chain.uses} that the program adds up` : "";
  place.append(list, element("p", `dL/d${w}${use} = ${six(sum)}`, "product"));
  if (chain.next >= 0) addArriving(step, place, chain, step.nodes[chain.next], unit);
}

// Where the first factor comes from: the units of the next linear layer.
function addArriving(step, place, chain, next, unit) {
  const weight = next.weights.find((one) => one.key === "weight");
  const arriving = next.arrays.find((one) => one.key === "arriving");
  if (!weight || !weight.value.numbers || !arriving || !arriving.numbers) return;
  const [units, inputs] = weight.value.shape;
  const terms = [];
  for (let k = 0; k < Math.min(units, 8); k++) terms.push(`${six(arriving.numbers[k])} · ${six(weight.value.numbers[k * inputs + unit])}`);
  const rest = units > 8 ? ` + ${units - 8} more` : "";
  const text = `${chain.factors[0].label} of row 0 = Σ dL/dy[${next.name}] · w = ${terms.join(" + ")}${rest} = ${six(chain.factors[0].numbers[unit])}`;
  place.append(element("p", text, "faint"));
}
