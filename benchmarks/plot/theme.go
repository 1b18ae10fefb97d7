// Package plot draws bar charts and a table as one SVG, by hand: a file that a browser
// shows in the reader's light or dark colours, and that needs no tool to be made again.
package plot

// style lets the reader's browser choose the colours. The bars keep theirs: they are
// picked to stand out on both grounds.
const style = `<style>
  svg { --ground: #ffffff; --text: #1f2328; --faint: #59636e; --line: #d1d9e0; --strong: #0969da; --bad: #cf222e; }
  @media (prefers-color-scheme: dark) {
    svg { --ground: #0d1117; --text: #f0f6fc; --faint: #9198a1; --line: #3d444d; --strong: #4493f8; --bad: #ff7b72; }
  }
  text { font: 12px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: var(--text); }
  .title { font-size: 20px; font-weight: 600; }
  .panel { font-size: 15px; font-weight: 600; }
  .faint { fill: var(--faint); }
  .value { font-size: 11px; font-weight: 600; fill: var(--text); paint-order: stroke; stroke: var(--ground); stroke-width: 3px; }
  .bad { fill: var(--bad); font-weight: 600; }
  .good { fill: var(--strong); font-weight: 600; }
  .ground { fill: var(--ground); }
  .grid { stroke: var(--line); stroke-width: 1; }
</style>
`

// Colours of series, in the order of their legend. The first is ours.
var palette = []string{"#2f81f7", "#8c959f", "#d4a72c", "#2da44e", "#bf3989", "#e16f24", "#8250df", "#1b9e9e", "#a0662c"}
