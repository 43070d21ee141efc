/* Manners of what updates by itself (HTMX): no polling in a hidden tab or under someone's hands, nothing lost by an
   update, and a word when the server does not answer. */
(() => {
  'use strict';
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const paused = new Set();
  // requestConfig.elt, not detail.elt: that is a parent once the element has been swapped away
  const isPoll = ({ requestConfig: { elt, triggeringEvent } }) => !triggeringEvent && /\bevery\b/.test(elt.getAttribute('hx-trigger') || '');

  /* an update must not close a menu, drop a selection or take what is being typed */
  const busy = (place) => {
    const selection = getSelection();
    return place.querySelector('details.menu[open], tbody input:checked') !== null
      || (place.contains(document.activeElement) && document.activeElement.matches('input, select, textarea'))
      || (!selection.isCollapsed && place.contains(selection.anchorNode));
  };

  document.addEventListener('htmx:beforeRequest', (event) => {
    const { detail } = event;
    if (isPoll(detail) && (document.hidden || paused.has(detail.elt.id) || busy(detail.target))) event.preventDefault();
  });

  /* <button data-pause="id of the polling element" aria-pressed="false"> */
  document.addEventListener('click', (event) => {
    const button = event.target.closest('[data-pause]');
    if (!button) return;
    const on = button.getAttribute('aria-pressed') !== 'true';
    button.setAttribute('aria-pressed', on);
    if (on) paused.add(button.dataset.pause); else paused.delete(button.dataset.pause);
  });

  /* what a person opened, chose, scrolled to or stands on survives an update of the part it is in */
  let kept = null;
  const remember = (place, cause) => {
    const focus = place.contains(document.activeElement) ? document.activeElement : null;
    const link = focus && !focus.id && focus.getAttribute('href');
    kept = {
      place: place.id,
      // a menu in which something was chosen has done its work
      open: all('details[id]', place).map((each) => [each.id, each.open && !(each.matches('.menu') && each.contains(cause))]),
      tabs: all('[role=tab][aria-selected=true][id]', place).map((each) => each.id),
      scroll: all('.scroll', place).map((each) => each.scrollLeft),
      focus: link && `a[href="${CSS.escape(link)}"]`,
    };
  };
  const restore = () => {
    if (!kept) return;
    const place = document.getElementById(kept.place) || document;
    kept.open.forEach(([id, open]) => { const each = document.getElementById(id); if (each) each.open = open; });
    kept.tabs.forEach((id) => { const each = document.getElementById(id); if (each) window.muster.pick(each); });
    all('.scroll', place).forEach((each, i) => { each.scrollLeft = kept.scroll[i] || 0; });
    if (kept.focus) place.querySelector(kept.focus)?.focus({ preventScroll: true });
    kept = null;
  };

  document.addEventListener('htmx:beforeSwap', (event) => {
    const { xhr, target, requestConfig } = event.detail;
    // the session has ended: the sign-in page does not belong in a panel, and what is typed here must not go
    if (xhr.responseURL && new URL(xhr.responseURL).pathname === document.body.dataset.signIn) {
      event.detail.shouldSwap = false;
      window.muster.notify({
        title: 'You have been signed out', text: 'What you typed is still here. Sign in again to go on.', key: 'session',
        action: { href: location.href, label: 'Sign in' },
      });
      return;
    }
    if (event.detail.shouldSwap) remember(target, requestConfig.elt);
  });
  document.addEventListener('htmx:afterSwap', restore);

  const lost = (detail, title) => {
    const poll = isPoll(detail);
    const text = poll
      ? 'What you see is from before. It is asked for again by itself.'
      : 'Nothing on this page was lost. Try again in a moment.';
    window.muster.notify({ title, text, key: poll ? 'poll' : 'request' });
  };
  document.addEventListener('htmx:sendError', ({ detail }) => lost(detail, 'Muster does not answer'));
  document.addEventListener('htmx:timeout', ({ detail }) => lost(detail, 'Muster takes too long to answer'));
  document.addEventListener('htmx:responseError', ({ detail }) => {
    const { status } = detail.xhr;
    const title = { 403: 'You may not do this', 404: 'This is no longer there', 429: 'Too many requests at once' }[status];
    lost(detail, title || `Muster could not do this (${status})`);
  });
  document.addEventListener('htmx:afterRequest', ({ detail }) => {
    if (detail.successful) all(`.notice[data-key="${isPoll(detail) ? 'poll' : 'request'}"]`).forEach((notice) => notice.remove());
  });
})();
