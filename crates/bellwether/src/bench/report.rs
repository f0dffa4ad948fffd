//! The result, for a program or a person.

use super::drive::Window;
use super::options::Options;

/// One JSON object. What was not measured is null.
pub(super) fn json(options: &Options, window: &Window) -> String {
    let fields = fields(options, window);
    let fields: Vec<String> =
        fields.into_iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
    format!("{{{}}}", fields.join(","))
}

/// The same as lines.
pub(super) fn table(options: &Options, window: &Window) -> String {
    let fields = fields(options, window);
    let width = fields.iter().map(|(key, _)| key.len()).max().unwrap_or_default();
    let shown = |value: String| match value.as_str() {
        "null" => "-".to_owned(),
        _ => value.trim_matches('"').to_owned(),
    };
    let lines: Vec<String> =
        fields.into_iter().map(|(key, value)| format!("{key:width$}  {}", shown(value))).collect();
    lines.join("\n")
}

/// Names and values, these as JSON.
fn fields(options: &Options, window: &Window) -> Vec<(&'static str, String)> {
    let seconds = window.elapsed.as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a rate of operations needs no 53 bits")]
    let ops = window.ops as f64;
    let cpu_s = window.server.map(|server| server.cpu.as_secs_f64());
    let per_cpu = cpu_s.filter(|cpu| *cpu > 0.0).map(|cpu| ops / cpu);
    let null = || "null".to_owned();
    let micros = |quantile| {
        let ns = window.latencies.value_at_quantile(quantile);
        format!("{}.{}", ns / 1000, ns % 1000 / 100)
    };
    vec![
        ("workload", format!("\"{}\"", options.workload.name())),
        ("connections", options.connections.to_string()),
        ("inflight", options.inflight.to_string()),
        ("size", options.size.to_string()),
        ("seconds", format!("{seconds:.3}")),
        ("ops", window.ops.to_string()),
        ("ops_per_s", format!("{:.1}", ops / seconds.max(1e-9))),
        ("server_cpu_s", cpu_s.map_or_else(null, |cpu| format!("{cpu:.2}"))),
        ("ops_per_cpu_s", per_cpu.map_or_else(null, |rate| format!("{rate:.1}"))),
        ("client_cpu_s", format!("{:.2}", window.client_cpu.as_secs_f64())),
        ("p50_us", micros(0.5)),
        ("p90_us", micros(0.9)),
        ("p99_us", micros(0.99)),
        ("p999_us", micros(0.999)),
        ("max_us", micros(1.0)),
        (
            "rss_peak_bytes",
            window.server.map_or_else(null, |server| server.rss_peak_bytes.to_string()),
        ),
        ("errors", window.errors.to_string()),
    ]
}
