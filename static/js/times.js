/* Keeps <time data-relative> true while a page stays open. The wording and the limits are those of `when` in
   profiles/templatetags/muster.py: change both together. */
(() => {
  'use strict';
  const zone = document.documentElement.dataset.timeZone || 'UTC';
  const parts = new Intl.DateTimeFormat('en-GB', {
    timeZone: zone, year: 'numeric', month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', hourCycle: 'h23',
  });
  const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
  const read = (date) => {
    const part = Object.fromEntries(parts.formatToParts(date).map((each) => [each.type, each.value]));
    const month = part.month.slice(0, 3); // some browsers write Sept
    return { ...part, month, number: Date.UTC(part.year, MONTHS.indexOf(month), part.day) / 864e5 };
  };

  const moment = (then, now) => {
    const a = read(then);
    const b = read(now);
    const clock = `${a.hour}:${a.minute}`;
    const near = { '-1': 'Yesterday', 0: 'Today', 1: 'Tomorrow' }[a.number - b.number];
    if (near) return `${near}, ${clock}`;
    return a.year === b.year ? `${a.day} ${a.month}, ${clock}` : `${a.day} ${a.month} ${a.year}`;
  };

  const relative = (then, now) => {
    const seconds = Math.floor((now - then) / 1000);
    if (seconds >= 0 && seconds < 5) return 'just now';
    const span = Math.abs(seconds);
    if (span >= 3600) return moment(then, now);
    const amount = span < 60 ? `${span} s` : `${Math.floor(span / 60)} min`;
    return seconds < 0 ? `in ${amount}` : `${amount} ago`;
  };

  // where this machine's clock is wrong by more than a page takes to arrive, the server's counts
  const skew = Date.parse(document.documentElement.dataset.now) - Date.now();
  const ahead = Math.abs(skew) > 60_000 ? skew : 0;

  const tick = () => {
    if (document.hidden) return;
    const now = new Date(Date.now() + ahead);
    document.querySelectorAll('time[data-relative]').forEach((time) => {
      const then = new Date(time.dateTime);
      const text = time.dataset.relative === 'moment' ? moment(then, now) : relative(then, now);
      if (time.textContent !== text) time.textContent = text;
    });
  };
  setInterval(tick, 5000);
  document.addEventListener('visibilitychange', tick);
})();
