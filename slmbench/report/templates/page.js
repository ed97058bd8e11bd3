(function () {
  "use strict";
  var styles = getComputedStyle(document.documentElement);
  function colour(name) { return styles.getPropertyValue(name).trim(); }
  function draw(element) {
    var spec = JSON.parse(document.getElementById(element.id + "-data").textContent);
    var narrow = element.clientWidth < 460;
    var ink = colour("--ink"), soft = colour("--soft"), line = colour("--line");
    spec.layout.font = { family: getComputedStyle(document.body).fontFamily, color: ink, size: 12 };
    spec.layout.hoverlabel.bgcolor = colour("--paper");
    spec.layout.hoverlabel.font = { color: ink };
    spec.layout.modebar = { bgcolor: "rgba(0,0,0,0)", color: line, activecolor: colour("--accent") };
    ["xaxis", "yaxis"].forEach(function (name) {
      var axis = spec.layout[name] = spec.layout[name] || {};
      axis.gridcolor = line; axis.linecolor = line; axis.zeroline = false;
      axis.tickfont = Object.assign({}, axis.tickfont, { color: soft });
    });
    if (narrow) {
      spec.layout.margin.l = spec.layout.yaxis.automargin ? 10 : 48;
      spec.layout.margin.r = 8;
      spec.data.forEach(function (trace) {
        if (trace.mode === "markers+text") { trace.textfont = { size: 9 }; }
      });
    }
    Plotly.newPlot(element, spec.data, spec.layout, {
      responsive: true,
      displaylogo: false,
      displayModeBar: narrow ? false : "hover",
      modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d", "sendDataToCloud"]
    });
  }
  Array.prototype.forEach.call(document.querySelectorAll(".plot"), draw);
})();
