// 留客 Liuke: progressive enhancement. Every page works without it, except that long choices are not searchable.
// No inline handlers, no eval, no sentence in any language: words come from the templates.
(() => {
  const { tomSelect: scriptUrl, tomSelectCss: styleUrl } = document.currentScript.dataset;
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // Bulk selection: table[data-bulk="id of the bar"], [data-all], [data-row]; the bar holds [data-count], [data-clear].
  const syncSelection = (table) => {
    const rows = all('[data-row]', table);
    const picked = rows.filter((row) => row.checked);
    const head = table.querySelector('[data-all]');
    if (head) {
      head.checked = rows.length > 0 && picked.length === rows.length;
      head.indeterminate = picked.length > 0 && picked.length < rows.length;
    }
    rows.forEach((row) => row.closest('tr').classList.toggle('sel', row.checked));
    const bar = document.getElementById(table.dataset.bulk);
    if (!bar) return;
    bar.hidden = picked.length === 0;
    all('[data-count]', bar).forEach((count) => { count.textContent = picked.length; });
  };
  document.addEventListener('change', ({ target }) => {
    const table = target.closest('table[data-bulk]');
    if (!table) return;
    if (target.matches('[data-all]')) all('[data-row]', table).forEach((row) => { row.checked = target.checked; });
    if (target.matches('[data-all], [data-row]')) syncSelection(table);
  });
  document.addEventListener('click', ({ target }) => {
    const bar = target.closest('[data-clear]')?.closest('.bulk');
    const table = bar && document.querySelector(`table[data-bulk="${CSS.escape(bar.id)}"]`);
    if (!table) return;
    all('[data-row]', table).forEach((row) => { row.checked = false; });
    syncSelection(table);
  });

  document.addEventListener('click', ({ target }) => {
    if (target.closest('[data-print]')) window.print();
  });

  // Keys: "/" focuses the search, j and k walk along [data-nav]. <html data-keys="off"> switches them off (WCAG 2.1.4).
  document.addEventListener('keydown', (event) => {
    const { target, key } = event;
    if (document.documentElement.dataset.keys === 'off' || event.ctrlKey || event.metaKey || event.altKey) return;
    if (target.isContentEditable || target.closest('input, select, textarea, .modal, .dropdown-menu')) return;
    if (key === '/') {
      const search = all('[data-search]').find((field) => field.offsetParent);
      if (!search) return;
      event.preventDefault();
      search.focus();
    } else if (key === 'j' || key === 'k') {
      const stops = all('[data-nav]');
      const here = stops.indexOf(document.activeElement);
      stops[Math.max(0, Math.min(stops.length - 1, here + (key === 'j' ? 1 : -1)))]?.focus();
    }
  });

  // Chart tips, from the <desc> nodes that app/reports/charts.py leaves beside every mark.
  let tip;
  const hideTip = () => { if (tip) tip.hidden = true; };
  const showTip = (mark, x, y) => {
    const text = (name) => mark.parentNode.querySelector(`:scope > desc.${name}`)?.textContent;
    const lines = [text('x_label'), text('label'), text('value')].filter(Boolean);
    if (!lines.length) { hideTip(); return; }
    tip ??= document.body.appendChild(Object.assign(document.createElement('div'), { className: 'chart-tip' }));
    tip.textContent = [...new Set(lines)].join('\n');
    tip.hidden = false;
    tip.style.left = `${Math.max(8, Math.min(x + 12, innerWidth - tip.offsetWidth - 8))}px`;
    tip.style.top = `${Math.max(8, Math.min(y + 12, innerHeight - tip.offsetHeight - 8))}px`;
  };
  const pointed = (event) => {
    const mark = event.target.closest?.('.lk-chart .reactive');
    if (mark) showTip(mark, event.clientX, event.clientY); else hideTip();
  };
  document.addEventListener('pointermove', pointed);
  document.addEventListener('pointerdown', pointed);
  document.addEventListener('focusin', ({ target }) => {
    const mark = target.closest('.lk-chart a')?.querySelector('.reactive');
    if (!mark) { hideTip(); return; }
    const box = mark.getBoundingClientRect();
    showTip(mark, box.right - 12, box.top + box.height / 2);
  });
  document.addEventListener('keydown', ({ key }) => { if (key === 'Escape') hideTip(); });
  document.addEventListener('scroll', hideTip, { capture: true, passive: true });

  // form[data-confirm="question"] asks first; so does a button[data-confirm]. data-ok names the deed on the button,
  // data-title heads the dialog, data-tone="primary" marks a deed that destroys nothing.
  const confirmed = new WeakSet();
  const ask = (source, proceed) => {
    const modal = document.getElementById('modal-confirm');
    if (!modal || !window.bootstrap) {
      if (window.confirm(source.dataset.confirm)) proceed();
      return;
    }
    const ok = document.getElementById('modal-confirm-ok');
    const title = modal.querySelector('.modal-title');
    modal.querySelector('.modal-text').textContent = source.dataset.confirm;
    title.textContent = source.dataset.title || title.dataset.default;
    ok.textContent = source.dataset.ok || ok.dataset.default;
    ok.className = `btn btn-${source.dataset.tone === 'primary' ? 'primary' : 'danger'}`;
    const dialog = window.bootstrap.Modal.getOrCreateInstance(modal);
    ok.onclick = () => { dialog.hide(); proceed(); };
    dialog.show();
  };
  document.addEventListener('submit', (event) => {
    const { target: form, submitter } = event;
    const source = submitter?.dataset.confirm ? submitter : form;
    if (!source.dataset.confirm || confirmed.delete(form)) return;
    event.preventDefault();
    ask(source, () => { confirmed.add(form); form.requestSubmit(submitter); });
  });

  // form[data-dirty] warns before changes are lost; data-dirty="true" is a form that came back with errors.
  const dirty = new Set(all('form[data-dirty="true"]'));
  ['input', 'change'].forEach((type) => document.addEventListener(type, ({ target }) => {
    const form = target.form ?? target.closest('form');
    if (form?.matches('[data-dirty]')) dirty.add(form);
  }));
  window.addEventListener('beforeunload', (event) => { if (dirty.size) event.preventDefault(); });

  // A form is sent once. The buttons are disabled after the browser has read them, so the pressed one keeps its value;
  // they come back after ten seconds, because a download or a lost connection leaves the page in place.
  document.addEventListener('submit', (event) => {
    const form = event.target;
    if (event.defaultPrevented) return;
    dirty.delete(form);
    // By attribute: a field may be named "method".
    if (form.getAttribute('method')?.toLowerCase() !== 'post') return;
    const buttons = [...form.elements].filter((field) => field.type === 'submit' && !field.disabled);
    const lock = (locked) => buttons.forEach((button) => { button.disabled = locked; });
    setTimeout(lock, 0, true);
    setTimeout(lock, 10000, false);
    window.addEventListener('pageshow', () => lock(false), { once: true });
  });

  // input[type=file]: what is too large is said before it is sent. data-most is in bytes, for all files together.
  document.addEventListener('change', ({ target }) => {
    const { most, tooLarge } = target.dataset;
    if (!tooLarge) return;
    const fits = [...target.files].reduce((sum, file) => sum + file.size, 0) <= most;
    target.setCustomValidity(fits ? '' : tooLarge);
    target.reportValidity();
  });

  // select[data-remote="URL"]: choices come from URL?q=<term>&page=<n, from 0> as {results: [{id, text}], more}.
  // data-placeholder, data-empty and data-clear hold the words. Tom Select is fetched only where a select asks for it.
  let tomSelect;
  const loadTomSelect = () => {
    tomSelect ??= new Promise((resolve) => {
      const style = Object.assign(document.createElement('link'), { rel: 'stylesheet', href: styleUrl });
      const script = Object.assign(document.createElement('script'), { src: scriptUrl, onload: resolve });
      document.head.querySelector('link[rel=stylesheet]').after(style);
      document.head.append(script);
    });
    return tomSelect;
  };
  const remoteSelect = (select) => {
    const { remote, placeholder = '', empty = '', clear = '' } = select.dataset;
    const page = (term, number) => {
      const url = new URL(remote, document.baseURI);
      url.searchParams.set('q', term);
      url.searchParams.set('page', number);
      return url.href;
    };
    const line = (className, textContent) => () => Object.assign(document.createElement('div'), { className, textContent });
    const plugins = { virtual_scroll: {} };
    const required = select.required || select.getAttribute('aria-required') === 'true';
    if (select.multiple) plugins.remove_button = { title: clear };
    else if (clear && !required) plugins.clear_button = { title: clear };
    const widget = new window.TomSelect(select, {
      plugins,
      placeholder,
      valueField: 'id',
      labelField: 'text',
      searchField: [],
      maxOptions: null,
      preload: 'focus',
      hideSelected: true,
      refreshThrottle: 0,
      firstUrl: (term) => page(term, 0),
      async load(term, done) {
        const url = this.getUrl(term);
        try {
          const response = await fetch(url, { headers: { Accept: 'application/json' }, credentials: 'same-origin' });
          const { results, more } = await response.json();
          if (more) this.setNextUrl(term, page(term, Number(new URL(url).searchParams.get('page')) + 1));
          done(results);
        } catch {
          done([]);
        }
      },
      render: {
        no_results: line('no-results', empty),
        no_more_results: () => null,
        loading_more: line('loading-more-results', '…'),
      },
    });
    widget.wrapper.classList.remove('form-select', 'form-control');
    select.setAttribute('aria-hidden', 'true'); // its label now names the search field
    ['aria-describedby', 'aria-invalid', 'aria-required'].forEach((name) => {
      if (select.hasAttribute(name)) widget.control_input.setAttribute(name, select.getAttribute(name));
    });
  };

  // What has to be done once per element, also for fragments that htmx swaps in.
  const enhance = (root) => {
    all('table[data-bulk]', root).forEach(syncSelection);
    const selects = all('select[data-remote]:not(.tomselected)', root);
    if (selects.length) loadTomSelect().then(() => selects.forEach(remoteSelect));
  };
  enhance(document);
  document.addEventListener('htmx:load', (event) => { if (event.target !== document.body) enhance(event.target); });
  document.querySelector('[data-autofocus]')?.focus();

  // form[data-go-on]: the next part of a long task, which needs no answer.
  document.querySelector('form[data-go-on]')?.requestSubmit();
})();
