//! Results as JUnit XML, a suite for each file of tests.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::human;
use crate::report::printable;
use crate::simulate::TestResult;

/// The document. It says nothing of times: the clock of tests is simulated, and equal results shall be equal files.
pub(super) fn xml(results: &[TestResult]) -> String {
    let mut suites: BTreeMap<String, Vec<&TestResult>> = BTreeMap::new();
    for result in results {
        suites.entry(result.place.file.display().to_string()).or_default().push(result);
    }
    let failed = |results: &[&TestResult]| results.iter().filter(|result| !result.passed).count();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let all: Vec<&TestResult> = results.iter().collect();
    line(&mut out, format_args!("<testsuites name=\"stanch\" tests=\"{}\" failures=\"{}\">", all.len(), failed(&all)));
    for (file, results) in &suites {
        let (name, tests, failures) = (escaped(file), results.len(), failed(results));
        line(
            &mut out,
            format_args!("  <testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\">"),
        );
        results.iter().for_each(|result| case(&mut out, result, &name));
        line(&mut out, format_args!("  </testsuite>"));
    }
    line(&mut out, format_args!("</testsuites>"));
    out
}

fn case(out: &mut String, result: &TestResult, file: &str) {
    let (name, at) = (escaped(&result.name), result.place.line);
    let head = format!("    <testcase classname=\"{file}\" name=\"{name}\" file=\"{file}\" line=\"{at}\"");
    if result.passed {
        line(out, format_args!("{head}/>"));
        return;
    }
    line(out, format_args!("{head}>"));
    for problem in &result.problems {
        let message = escaped(&problem.message);
        let text: Vec<String> = human::lines(problem).into_iter().map(|(_, line)| escaped(&line)).collect();
        line(out, format_args!("      <failure message=\"{message}\">{}</failure>", text.join("\n")));
    }
    let findings: Vec<String> = result.findings.iter().map(|finding| escaped(&human::in_words(finding))).collect();
    if !findings.is_empty() {
        line(out, format_args!("      <system-out>{}</system-out>", findings.join("\n")));
    }
    line(out, format_args!("    </testcase>"));
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing into a string cannot fail.
    writeln!(out, "{text}").unwrap_or_default();
}

/// Text that can stand in an attribute or an element. What XML cannot hold at all is replaced.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in printable(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_leave_its_place() {
        assert_eq!(escaped("a<b & \"c\" 'd' ]]>"), "a&lt;b &amp; &quot;c&quot; &apos;d&apos; ]]&gt;");
        assert_eq!(escaped("\u{1b}[2J\n\u{ffff}"), "\\u{1b}[2J\\n\u{fffd}");
    }
}
