/* What pages do in the browser by themselves: copying, tabs, menus, selecting rows, notices, filtering a short list.
   Every listener sits on the document, so that what HTMX swaps in works without being set up again. */
(() => {
  'use strict';
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  const say = (words) => { document.getElementById('said').textContent = words; };

  const copy = async (button) => {
    const source = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(source.textContent);
    } catch { // without https there is no clipboard: select the text, and try the old way
      getSelection().selectAllChildren(source);
      if (!document.execCommand('copy')) { say('Selected. Copy it with your keyboard.'); return; }
    }
    const use = button.querySelector('use');
    const set = (name) => use?.setAttribute('href', use.getAttribute('href').replace(/#.*/, `#tabler-${name}`));
    button.classList.add('copied');
    set('check');
    say('Copied');
    setTimeout(() => { button.classList.remove('copied'); set('copy'); say(''); }, 1500);
  };

  const pick = (tab) => all('[role=tab]', tab.closest('[role=tablist]')).forEach((other) => {
    const on = other === tab;
    other.setAttribute('aria-selected', on);
    other.tabIndex = on ? 0 : -1;
    document.getElementById(other.getAttribute('aria-controls')).hidden = !on;
  });

  const showPassword = (button) => {
    const input = document.getElementById(button.dataset.reveal);
    const shown = input.type === 'text';
    input.type = shown ? 'password' : 'text';
    button.setAttribute('aria-pressed', !shown);
    const use = button.querySelector('use');
    use.setAttribute('href', use.getAttribute('href').replace(/#.*/, shown ? '#tabler-eye' : '#tabler-eye-off'));
  };

  /* a notice made here looks like one made by the server: both fill the same template */
  const notify = ({ title, text, key, action }) => {
    const place = document.getElementById('notices');
    let notice = key && place.querySelector(`[data-key="${key}"]`);
    if (!notice) {
      notice = document.getElementById('notice-bad').content.firstElementChild.cloneNode(true);
      if (key) notice.dataset.key = key;
      place.append(notice);
    }
    const [head, body] = all('p', notice);
    if (head.textContent !== title) head.firstElementChild.textContent = title;
    if (body.textContent !== text) body.textContent = text;
    const link = notice.querySelector('a');
    link.hidden = !action;
    if (action) Object.assign(link, { href: action.href, textContent: action.label });
    return notice;
  };
  window.muster = { notify, pick, say };

  document.addEventListener('click', (event) => {
    const on = (selector) => event.target.closest(selector);
    const button = on('button');
    if (button?.dataset.copy) copy(button);
    if (button?.dataset.reveal) showPassword(button);
    if (button?.dataset.dismiss !== undefined) button.closest('.notice').remove();
    const tab = on('[role=tab]');
    if (tab) pick(tab);
    all('details.menu[open]').forEach((menu) => { if (!menu.contains(event.target)) menu.open = false; });
  });

  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') {
      all('details.menu[open]').forEach((menu) => { menu.open = false; menu.querySelector('summary').focus(); });
      if (location.hash === '#side') location.hash = '#content';
    }
    const tab = event.target.closest?.('[role=tab]');
    if (tab && ['ArrowRight', 'ArrowLeft'].includes(event.key)) {
      const tabs = all('[role=tab]', tab.closest('[role=tablist]'));
      const next = tabs.at((tabs.indexOf(tab) + (event.key === 'ArrowRight' ? 1 : -1)) % tabs.length);
      pick(next);
      next.focus();
    }
    const menu = event.target.closest?.('details.menu[open]');
    if (menu && ['ArrowDown', 'ArrowUp'].includes(event.key)) {
      const items = all('.menu-list :is(a, button)', menu);
      const at = items.indexOf(document.activeElement);
      (event.key === 'ArrowDown' ? items[at + 1] || items[0] : items[at - 1] || items.at(-1))?.focus();
      event.preventDefault();
    }
  });

  document.addEventListener('change', (event) => {
    if (event.target.matches('select[data-submit]')) event.target.form.requestSubmit();
    const form = event.target.form;
    const every = form?.querySelector('[data-all]');
    if (!every) return;
    const boxes = all('tbody input[type=checkbox]', form);
    if (event.target === every) boxes.forEach((box) => { box.checked = every.checked; });
    const count = boxes.filter((box) => box.checked).length;
    every.checked = count > 0 && count === boxes.length;
    every.indeterminate = count > 0 && count < boxes.length;
    all('[data-count]', form).forEach((place) => { place.textContent = count.toLocaleString('en-US'); });
  });

  /* <input data-filter="id of a tbody or list">: hides the rows that do not hold what is typed */
  document.addEventListener('input', (event) => {
    const list = event.target.dataset.filter && document.getElementById(event.target.dataset.filter);
    if (!list) return;
    const wanted = event.target.value.trim().toLowerCase();
    [...list.children].forEach((row) => { row.hidden = !row.textContent.toLowerCase().includes(wanted); });
  });
})();
