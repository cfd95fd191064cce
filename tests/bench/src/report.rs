//! What was measured, as a table and as JSON.

use serde_json::{Value, json};

/// A figure with its peers and its target.
struct Line {
    name: String,
    unit: &'static str,
    ours: f64,
    peers: Vec<(String, f64)>,
    target: Option<Target>,
}

/// What a figure should be.
struct Target {
    text: String,
    met: bool,
}

/// All figures of a run.
#[derive(Default)]
pub struct Report {
    lines: Vec<Line>,
}

impl Report {
    /// Adds a figure without a target.
    pub fn figure(
        &mut self,
        name: &str,
        unit: &'static str,
        ours: f64,
        peers: &[(&str, Option<f64>)],
    ) {
        self.add(name, unit, ours, peers, None);
    }

    /// Adds a figure that should not exceed a bound.
    pub fn at_most(
        &mut self,
        name: &str,
        unit: &'static str,
        ours: f64,
        peers: &[(&str, Option<f64>)],
        bounds: &[(&str, Option<f64>)],
    ) {
        let known: Vec<_> =
            bounds.iter().filter_map(|(text, bound)| Some((*text, (*bound)?))).collect();
        let met = known.iter().all(|(_, bound)| ours <= *bound);
        let text: Vec<_> =
            known.iter().map(|(text, bound)| bound_text("≤", *bound, text)).collect();
        self.add(name, unit, ours, peers, Some(Target { text: text.join(", "), met }));
    }

    /// Adds a figure that should reach a bound.
    pub fn at_least(
        &mut self,
        name: &str,
        unit: &'static str,
        ours: f64,
        peers: &[(&str, Option<f64>)],
        (text, bound): (&str, f64),
    ) {
        let target = Target { text: bound_text("≥", bound, text), met: ours >= bound };
        self.add(name, unit, ours, peers, Some(target));
    }

    fn add(
        &mut self,
        name: &str,
        unit: &'static str,
        ours: f64,
        peers: &[(&str, Option<f64>)],
        target: Option<Target>,
    ) {
        let peers =
            peers.iter().map(|(name, value)| ((*name).to_owned(), value.unwrap_or(f64::NAN)));
        let line = Line { name: name.to_owned(), unit, ours, peers: peers.collect(), target };
        print_line(&line);
        self.lines.push(line);
    }

    /// Prints what was missed.
    pub fn print(&self) {
        let with_target = self.lines.iter().filter_map(|line| Some((line, line.target.as_ref()?)));
        let missed: Vec<_> = with_target.filter(|(_, target)| !target.met).collect();
        println!("\n{} figures, {} short of their target", self.lines.len(), missed.len());
        for (line, target) in missed {
            println!("  {}: {} {} {}", line.name, number(line.ours), line.unit, target.text);
        }
    }

    /// The same for programs.
    pub fn to_json(&self) -> String {
        let lines = self.lines.iter().map(|line| {
            let peers: serde_json::Map<String, Value> =
                line.peers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
            json!({
                "name": line.name,
                "unit": line.unit,
                "reedbase": line.ours,
                "peers": peers,
                "target": line.target.as_ref().map(|target| target.text.clone()),
                "met": line.target.as_ref().map(|target| target.met),
            })
        });
        format!("{:#}\n", Value::Array(lines.collect()))
    }
}

fn print_line(line: &Line) {
    let mark = match &line.target {
        None => " ",
        Some(target) if target.met => "✓",
        Some(_) => "✗",
    };
    let peers: Vec<_> =
        line.peers.iter().map(|(name, value)| format!("{name} {}", number(*value))).collect();
    let target = line.target.as_ref().map(|target| target.text.as_str()).unwrap_or_default();
    println!(
        "{mark} {:<52} {:>10} {:<8} {:<60} {target}",
        line.name,
        number(line.ours),
        line.unit,
        peers.join(", ")
    );
}

/// A bound and what it is taken from, if it is not a figure of the design.
fn bound_text(sign: &str, bound: f64, from: &str) -> String {
    match from {
        "" => format!("{sign} {}", number(bound)),
        from => format!("{sign} {} ({from})", number(bound)),
    }
}

/// A number with about three digits; `-` if it was not measured.
fn number(value: f64) -> String {
    match value.abs() {
        _ if value.is_nan() => "-".to_owned(),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.1 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}
