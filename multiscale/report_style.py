"""How the report looks, on screen and on paper."""

CSS = """
:root { --ink: #1c2733; --soft: #5b6774; --line: #dfe4ea; --paper: #ffffff; --wash: #f5f7f9; --accent: #1f6fb2; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--wash); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", Arial, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 2.5rem 2rem 4rem; background: var(--paper); min-height: 100vh;
  box-shadow: 0 0 0 1px var(--line); }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .3rem; letter-spacing: -.01em; }
h2 { font-size: 1.25rem; margin: 3rem 0 1rem; padding-bottom: .35rem; border-bottom: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.8rem 0 .5rem; }
.status { margin: 0; color: var(--soft); }
.badge { display: inline-block; padding: 0 .6em; border-radius: 1em; font-size: .85rem; font-weight: 600; }
.badge.good { background: #dff1e6; color: #17633a; } .badge.bad { background: #fbe3e0; color: #97281f; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .8rem;
  margin: 1.8rem 0 1.2rem; }
.tile { border: 1px solid var(--line); border-top: 3px solid var(--accent); border-radius: 4px; padding: .8rem 1rem; }
.value { font-size: 1.55rem; font-weight: 650; font-variant-numeric: tabular-nums; white-space: nowrap; }
.unit { font-size: .95rem; font-weight: 500; color: var(--soft); margin-left: .3em; }
.label { color: var(--soft); font-size: .88rem; line-height: 1.3; }
.box { border-left: 4px solid; border-radius: 3px; padding: .7rem 1rem; margin: 1rem 0; }
.box ul { margin: .3rem 0 0; padding-left: 1.2rem; }
.box.warning { border-color: #d98e04; background: #fdf6e7; } .box.bad { border-color: #c8443a; background: #fdeeec; }
nav { display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; margin-top: 1.5rem; font-size: .92rem; }
a { color: var(--accent); text-decoration: none; } a:hover { text-decoration: underline; }
figure { margin: 1rem 0 2rem; } img { display: block; max-width: 100%; height: auto; margin: 0 auto; }
figcaption, .note { color: var(--soft); font-size: .9rem; margin-top: .7rem; max-width: 46rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th { text-align: left; font-weight: 600; color: var(--soft); border-bottom: 2px solid var(--line); }
th, td { padding: .4rem .9rem .4rem 0; vertical-align: top; } td { border-bottom: 1px solid var(--line); }
td.number { font-variant-numeric: tabular-nums; white-space: nowrap; }
.facts td:first-child { width: 13rem; color: var(--soft); } .facts td { overflow-wrap: anywhere; }
.phases td { vertical-align: middle; } .phases td:first-child { width: 13rem; color: var(--soft); }
.phases td.number { width: 6rem; }
.bar { height: .7rem; background: var(--accent); border-radius: 2px; min-width: 2px; }
pre { background: var(--wash); border: 1px solid var(--line); border-radius: 4px; padding: 1rem; overflow-x: auto;
  font: .85rem/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
@media print {
  @page { margin: 16mm; }
  body { background: none; font-size: 10.5pt; } main { max-width: none; padding: 0; box-shadow: none; }
  nav { display: none; } figure, .tile, .box, tr { break-inside: avoid; } h2, h3 { break-after: avoid; }
  .tiles { grid-template-columns: repeat(4, 1fr); } * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  pre { white-space: pre-wrap; } a { color: inherit; }
}
"""
