/* Find People: what is being typed is never taken away by an answer to what was there before. */
(() => {
  'use strict';
  const words = (form) => JSON.stringify([...new FormData(form)].filter(([name]) => name !== 'csrfmiddlewaretoken'));
  let asked = null;

  document.addEventListener('htmx:beforeRequest', ({ detail }) => {
    const form = document.getElementById('query');
    if (form && (detail.elt === form || form.contains(detail.elt)) && detail.requestConfig.verb === 'post') asked = words(form);
  });
  document.addEventListener('htmx:beforeSwap', (event) => {
    const form = document.getElementById('query');
    const { target, requestConfig } = event.detail;
    if (!form || requestConfig.verb !== 'post' || !(target === form || target.id === 'find')) return;
    // somebody typed on meanwhile: the next change, which is on its way, asks for all of it
    if (asked !== words(form) && requestConfig.parameters?.act === 'change') event.detail.shouldSwap = false;
  });

  /* a suggestion that is picked is a change, without waiting until the field is left */
  document.addEventListener('input', (event) => {
    const { target, inputType } = event;
    if (target.list && target.closest('#query') && (inputType === 'insertReplacementText' || inputType === undefined)) {
      target.dispatchEvent(new Event('change', { bubbles: true }));
    }
  });
})();
