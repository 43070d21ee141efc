/* Find People: an answer to what stood in the form before never takes away what was typed meanwhile. */
(() => {
  'use strict';
  const asked = new WeakMap(); // request: what the form held when it was sent
  const words = (form) => JSON.stringify([...new FormData(form)].filter(([name]) => name !== 'csrfmiddlewaretoken'));
  const query = () => document.getElementById('query');

  document.addEventListener('htmx:beforeRequest', ({ detail: { elt, xhr, requestConfig } }) => {
    const form = query();
    if (form?.contains(elt) && requestConfig.verb === 'post') asked.set(xhr, words(form));
  });
  document.addEventListener('htmx:beforeSwap', (event) => {
    const { xhr, requestConfig } = event.detail;
    const form = query();
    if (!form || !asked.has(xhr) || asked.get(xhr) === words(form)) return;
    event.detail.shouldSwap = false;
    // ask once more, with what stands there now: a button's deed is done with it, else the query is answered
    const button = [...form.querySelectorAll('button[name=act]:not([value=find])')].find(({ value }) => value === requestConfig.parameters.act);
    setTimeout(() => {
      if (button?.isConnected) form.requestSubmit(button);
      else query()?.dispatchEvent(new Event('change', { bubbles: true }));
    });
  });

  /* a suggestion that is picked is a change, without waiting until the field is left */
  document.addEventListener('input', ({ target, inputType }) => {
    if (target.list && target.closest('#query') && (inputType === 'insertReplacementText' || inputType === undefined)) {
      target.dispatchEvent(new Event('change', { bubbles: true }));
    }
  });
})();
