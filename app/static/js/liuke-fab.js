// Replaces Flask-AppBuilder's ab_filters.js, and with it jQuery and select2, on list pages.
// The form keeps FAB's grammar: one control per filter, named _flt_<operator index>_<column>; #filter_form holds one
// <template data-filter="column"> per searchable column and the active filters as JSON in data-filters.
(() => {
  const form = document.getElementById('filter_form');
  if (!form) return;

  const add = (column, operator, value) => {
    const template = form.querySelector(`template[data-filter="${CSS.escape(column)}"]`);
    if (!template) return;
    const chip = template.content.firstElementChild.cloneNode(true);
    const operators = chip.querySelector('.flt-op');
    const field = chip.querySelector('input, textarea, select:not(.flt-op)');
    // FAB passes the operator's label, not its index.
    const match = [...operators.options].find((option) => option.text === String(operator));
    if (match) operators.value = match.value;
    const rename = () => { field.name = `_flt_${operators.value}_${column}`; };
    rename();
    operators.addEventListener('change', rename);
    field.removeAttribute('id');
    field.removeAttribute('required');
    if (value !== undefined) field.value = value;
    chip.querySelector('[data-remove]').addEventListener('click', () => { chip.remove(); form.requestSubmit(); });
    form.insertBefore(chip, form.querySelector('.dropdown'));
    if (value === undefined) field.focus();
  };

  JSON.parse(form.dataset.filters || '[]').forEach(([column, operator, values]) => {
    [values].flat().forEach((value) => add(column, operator, value));
  });
  form.querySelectorAll('[data-add-filter]').forEach((button) => {
    button.addEventListener('click', () => add(button.dataset.addFilter));
  });
})();
