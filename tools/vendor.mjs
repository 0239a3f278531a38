// Copies the browser files of the pinned packages into app/static and draws the icon sprite.
// Run by `make vendor`; the results are committed, so nobody else needs Node.
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

const from = (path) => new URL(`../node_modules/${path}`, import.meta.url);
const to = (path) => {
  const target = new URL(`../app/static/${path}`, import.meta.url);
  mkdirSync(dirname(target.pathname), { recursive: true });
  return target;
};

// Source maps are not shipped; a reference to one only makes developer tools ask for a missing file.
const FILES = {
  'bootstrap/dist/css/bootstrap.min.css': 'vendor/bootstrap.min.css',
  'bootstrap/dist/js/bootstrap.bundle.min.js': 'vendor/bootstrap.bundle.min.js',
  'htmx.org/dist/htmx.min.js': 'vendor/htmx.min.js',
  'tom-select/dist/css/tom-select.min.css': 'vendor/tom-select.min.css',
  'tom-select/dist/js/tom-select.complete.min.js': 'vendor/tom-select.complete.min.js',
};
for (const [source, target] of Object.entries(FILES)) {
  const text = readFileSync(from(source), 'utf8');
  writeFileSync(to(target), text.replace(/\n?(\/\/|\/\*)# sourceMappingURL=.*?(\*\/)?\s*$/, '\n'));
}

const LICENSES = ['@fontsource-variable/inter', '@popperjs/core/LICENSE.md', '@tabler/icons', 'bootstrap', 'htmx.org', 'tom-select'];
for (const entry of LICENSES) {
  const [source, name] = entry.endsWith('.md') ? [entry, dirname(entry)] : [`${entry}/LICENSE`, entry];
  copyFileSync(from(source), to(`vendor/licenses/${name.replace('@', '').replace('/', '-')}.txt`));
}

copyFileSync(
  from('@fontsource-variable/inter/files/inter-latin-wght-normal.woff2'),
  to('fonts/inter-latin-wght-normal.woff2'),
);

// One <symbol id="i-NAME"> for each Tabler outline icon the pages use.
const ICONS = `
  activity address-book adjustments-horizontal alert-circle alert-triangle archive arrow-back-up arrow-down arrow-left
  arrow-right arrow-up arrows-exchange arrows-sort ban bell book-2 box briefcase building building-warehouse bulb cake
  calendar calendar-event category chart-bar chart-donut chart-histogram chart-line chart-pie check checklist
  chevron-down chevron-left chevron-right chevron-up circle-check circle-dashed circle-plus circle-x clipboard-check
  clipboard-list clock coins columns-3 copy currency-yuan database device-floppy dots download external-link eye
  file-export file-import file-spreadsheet file-text filter flag headset heart-handshake help-circle history home
  hourglass info-circle key language layout-dashboard link list list-check list-details lock logout mail map-pin menu-2
  message-2 message-report messages mood-smile moon package paperclip pencil percentage phone player-pause player-play
  player-stop plus point printer progress receipt refresh report-analytics rotate-clockwise route search send server
  settings shield-check shield-lock sort-descending star subtask sun table tag target-arrow thumb-up trash
  trending-down trending-up truck upload user user-check user-circle user-plus user-share user-x users users-group world x
`.trim().split(/\s+/).sort();
const symbols = ICONS.map((name) => {
  const svg = readFileSync(from(`@tabler/icons/icons/outline/${name}.svg`), 'utf8');
  const shapes = (svg.match(/<(path|circle|line|rect)\b[^>]*\/>/g) ?? []).filter((s) => !s.includes('stroke="none"'));
  return `<symbol id="i-${name}" viewBox="0 0 24 24">${shapes.join('').replace(/\s+/g, ' ')}</symbol>`;
});
writeFileSync(to('img/icons.svg'), `<svg xmlns="http://www.w3.org/2000/svg">\n${symbols.join('\n')}\n</svg>\n`);
