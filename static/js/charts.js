/* Charts: <div id data-chart="kind" data-source="id of a JSON script">. Colours are read from the tokens, so a theme
   change redraws. When HTMX swaps new numbers in, the drawn chart is put back in place and told the difference. */
(() => {
  'use strict';
  const drawn = new Map(); // id of the element: { el, chart, text }

  const color = (() => {
    let probe;
    // a custom property may hold light-dark(): let the browser resolve it
    return (token) => {
      if (!probe?.isConnected) probe = document.body.appendChild(Object.assign(document.createElement('i'), { hidden: true }));
      probe.style.color = `var(--${token})`;
      return getComputedStyle(probe).color;
    };
  })();
  const count = (n) => Math.abs(n).toLocaleString('en-US');
  const short = (n) => {
    const size = Math.abs(n);
    if (size >= 1e6) return `${+(size / 1e6).toFixed(1)}M`;
    return size >= 1000 ? `${+(size / 1000).toFixed(1)}k` : String(size);
  };
  // the next figure that reads well: 55 is 60, 48 is 50
  const ceiling = (n) => {
    const unit = 10 ** Math.floor(Math.log10(Math.max(n, 1)));
    return unit * [1, 1.5, 2, 3, 4, 5, 6, 8, 10].find((each) => each * unit >= n && Number.isInteger(each * unit));
  };
  const every = (days, step) => (i) => (days.length - 1 - i) % step === 0;

  const base = () => ({
    animation: !matchMedia('(prefers-reduced-motion: reduce)').matches, animationDuration: 250, animationDurationUpdate: 250,
    textStyle: { fontFamily: 'Inter, system-ui, sans-serif', fontSize: 12, color: color('ink-3') },
    tooltip: {
      trigger: 'axis', renderMode: 'richText', confine: true, padding: [8, 10], borderWidth: 1, borderColor: color('line-2'),
      backgroundColor: color('raised'), shadowBlur: 0, textStyle: { color: color('ink'), fontSize: 12, lineHeight: 18 },
      axisPointer: { type: 'line', lineStyle: { color: color('line-2'), type: 'solid' } },
    },
  });
  const xAxis = (more = {}) => ({
    type: 'category', axisTick: { show: false }, axisLine: { lineStyle: { color: color('line-2') } }, ...more,
    axisLabel: { color: color('ink-3'), hideOverlap: true, margin: 10, ...more.axisLabel },
  });
  const yAxis = (more = {}) => ({
    type: 'value', splitNumber: 3, minInterval: 1, axisLabel: { color: color('ink-3'), formatter: short },
    splitLine: { lineStyle: { color: color('line') } }, ...more,
  });

  const KINDS = {
    // size as a line; below it, on the same days, who came (up) and who left (down)
    trend: (d) => {
      const most = ceiling(Math.max(...d.added, ...d.removed, 1)); // a day, either way
      const step = d.step || (d.days.length > 45 ? 14 : d.days.length > 10 ? 7 : 1); // a label a week
      return {
        ...base(),
        axisPointer: { link: [{ xAxisIndex: 'all' }] },
        grid: [{ left: 44, right: 8, top: 10, height: '52%' }, { left: 44, right: 8, top: '66%', bottom: 24 }],
        xAxis: [
          xAxis({ data: d.days, boundaryGap: true, axisLabel: { show: false } }),
          xAxis({
            gridIndex: 1, data: d.days, position: 'bottom', axisLine: { onZero: true, lineStyle: { color: color('line-2') } },
            axisLabel: { interval: every(d.days, step) },
          }),
        ],
        yAxis: [yAxis({ scale: true }), yAxis({ gridIndex: 1, min: -most, max: most, interval: most, splitLine: { show: false } })],
        tooltip: {
          ...base().tooltip,
          formatter: ([{ dataIndex: i }]) => `${d.days[i]}\nSize  ${count(d.size[i])}\nAdded  +${count(d.added[i])}\nRemoved  −${count(d.removed[i])}`,
        },
        series: [
          {
            type: 'line', data: d.size, symbol: d.size.length === 1 ? 'circle' : 'none', lineStyle: { width: 1.75, color: color('data') },
            itemStyle: { color: color('data') }, areaStyle: { color: color('accent-soft'), opacity: 0.7, origin: 'start' },
          },
          {
            type: 'bar', stack: 'change', xAxisIndex: 1, yAxisIndex: 1, data: d.added, barMaxWidth: 14, barCategoryGap: '30%',
            itemStyle: { color: color('added-fill'), borderRadius: [2, 2, 0, 0] },
          },
          {
            type: 'bar', stack: 'change', xAxisIndex: 1, yAxisIndex: 1, data: d.removed.map((n) => -n), barMaxWidth: 14,
            itemStyle: { color: color('removed-fill'), borderRadius: [0, 0, 2, 2] },
          },
        ],
      };
    },
    // size alone, where nobody counts who came and who left
    size: (d) => ({
      ...base(),
      grid: [{ left: 44, right: 8, top: 10, bottom: 24 }],
      xAxis: xAxis({ data: d.days, axisLabel: { interval: every(d.days, d.days.length > 45 ? 14 : d.days.length > 10 ? 7 : 1) } }),
      yAxis: yAxis({ scale: true }),
      tooltip: { ...base().tooltip, formatter: ([{ dataIndex: i }]) => `${d.days[i]}\nSize  ${count(d.size[i])}` },
      series: [{
        type: 'line', data: d.size, symbol: d.size.length === 1 ? 'circle' : 'none', lineStyle: { width: 1.75, color: color('data') },
        itemStyle: { color: color('data') }, areaStyle: { color: color('accent-soft'), opacity: 0.7, origin: 'start' },
      }],
    }),
    // one bar a value, longest first; "Not set" is grey and last
    values: (d) => ({
      ...base(),
      grid: { left: 4, right: 52, top: 4, bottom: 4, containLabel: true },
      xAxis: { type: 'value', show: false },
      yAxis: xAxis({ inverse: true, data: d.names, axisLine: { show: false }, axisLabel: { color: color('ink-2'), margin: 12 } }),
      tooltip: {
        ...base().tooltip, trigger: 'item',
        formatter: ({ name, value }) => `${name}\n${count(value)} people · ${(100 * value / d.total).toFixed(1)} %`,
      },
      series: [{
        type: 'bar', barWidth: 14, label: { show: true, position: 'right', color: color('ink-2'), formatter: ({ value }) => count(value) },
        data: d.values.map((value, i) => ({
          value, itemStyle: { borderRadius: [0, 2, 2, 0], color: color(d.names[i] === 'Not set' ? 'idle-fill' : 'data') },
        })),
      }],
    }),
    // counts in time, one colour
    columns: (d) => ({
      ...base(),
      grid: { left: 36, right: 4, top: 10, bottom: 24 },
      xAxis: xAxis({ data: d.days, axisLabel: { interval: every(d.days, d.step || 7) } }),
      yAxis: yAxis(),
      tooltip: { ...base().tooltip, formatter: ([{ name, value }]) => `${name}\n${count(value)} ${d.unit}` },
      series: [{ type: 'bar', data: d.values, barMaxWidth: 14, itemStyle: { color: color(d.color || 'data'), borderRadius: [2, 2, 0, 0] } }],
    }),
  };

  const sizes = new ResizeObserver((entries) => entries.forEach(({ target }) => drawn.get(target.id)?.chart.resize()));

  const draw = (el, { again = false } = {}) => {
    const text = document.getElementById(el.dataset.source).textContent;
    let known = drawn.get(el.id);
    if (known && known.el !== el) { // the same chart arrived once more: keep the one that is drawn
      known.el.dataset.source = el.dataset.source;
      known.el.setAttribute('aria-label', el.getAttribute('aria-label'));
      el.replaceWith(known.el);
    }
    if (known && known.text === text && !again) return;
    if (!known) {
      el.replaceChildren();
      known = { el, chart: echarts.init(el, null, { renderer: 'svg' }) };
      drawn.set(el.id, known);
      sizes.observe(el);
    }
    known.text = text;
    known.chart.setOption(KINDS[el.dataset.chart](JSON.parse(text)), { notMerge: again });
  };

  const drawAll = () => {
    document.querySelectorAll('[data-chart]').forEach((el) => draw(el));
    drawn.forEach(({ el, chart }, id) => {
      if (el.isConnected) return;
      sizes.unobserve(el);
      chart.dispose();
      drawn.delete(id);
    });
  };
  drawAll();
  document.addEventListener('muster:theme', () => drawn.forEach(({ el }) => draw(el, { again: true })));
  // afterSwap comes before the next paint, so a chart that was swapped away is back unseen
  ['htmx:afterSwap', 'htmx:oobAfterSwap', 'htmx:historyRestore'].forEach((name) => document.addEventListener(name, drawAll));
})();
