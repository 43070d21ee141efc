/* Light or dark, set before the first paint: this one script is not deferred. */
(() => {
  'use strict';
  const root = document.documentElement;
  const system = matchMedia('(prefers-color-scheme: dark)');
  const chosen = () => {
    try { return localStorage.getItem('theme'); } catch { return null; } // storage is refused in some private windows
  };
  const apply = () => {
    const name = chosen() || (system.matches ? 'dark' : 'light');
    if (root.dataset.bsTheme === name) return;
    root.dataset.bsTheme = name;
    document.dispatchEvent(new Event('muster:theme'));
  };
  apply();
  system.addEventListener('change', apply);
  addEventListener('storage', apply); // another tab changed it
  document.addEventListener('click', (event) => {
    if (!event.target.closest('[data-theme-toggle]')) return;
    const name = root.dataset.bsTheme === 'dark' ? 'light' : 'dark';
    try { localStorage.setItem('theme', name); } catch { /* it then holds for this page only */ }
    root.dataset.bsTheme = name;
    document.dispatchEvent(new Event('muster:theme'));
  });
})();
