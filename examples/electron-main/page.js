document.querySelector('button').addEventListener('click', async () => {
  const answers = await window.resnode.classify();
  const items = answers.map(({ file, classes, error }) => {
    const item = document.createElement('li');
    const best = classes?.[0];
    item.textContent = `${file}: ${error?.message ?? `${best.label}, ${(100 * best.probability).toFixed(1)}%`}`;
    return item;
  });
  document.querySelector('ul').replaceChildren(...items);
});
