//! The pages of the rules: one by one for `cutover explain`, together for the documents.

use super::{RULES, Rule};

/// The page's first sentence: what the rule finds. The slug as long as the page says nothing.
pub fn summary(rule: &Rule) -> String {
    let paragraph: Vec<&str> = rule.page.lines().skip_while(|line| line.is_empty() || line.starts_with('#')).collect();
    let end = paragraph.iter().position(|line| line.trim().is_empty()).unwrap_or(paragraph.len());
    let text = paragraph[..end].join(" ");
    if text.is_empty() { rule.slug.to_owned() } else { text.split_inclusive(". ").next().unwrap_or_default().trim().to_owned() }
}

/// All pages as one document.
pub fn document() -> String {
    let mut text =
        "# What `cutover check` finds\n\nWritten by `cutover docs rules`; a test compares. `cutover explain SLUG` prints one page.\n\n\
                    | rule | severity | what it finds |\n|---|---|---|\n"
            .to_owned();
    for rule in RULES {
        let slug = rule.slug;
        text.push_str(&format!("| [{slug}](#{slug}) | {} | {} |\n", rule.severity.word(), summary(rule).replace('|', "\\|")));
    }
    for rule in RULES {
        text.push('\n');
        for (line, in_code) in lines(rule.page.trim_end()) {
            // one level down, under the document's own title
            if !in_code && line.starts_with('#') {
                text.push('#');
            }
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// Lines of Markdown, each with whether it is code.
pub fn lines(markdown: &str) -> impl Iterator<Item = (&str, bool)> {
    let mut in_code = false;
    markdown.lines().map(move |line| {
        let fence = line.trim_start().starts_with("```");
        in_code ^= fence;
        (line, in_code || fence)
    })
}
