//! A page of HTML that stands alone.

use std::fmt::{self, Write};

use crate::palette;

/// A page: text, tables and charts below each other, in one file that names no other and runs no script.
///
/// Every text is escaped: what looks like HTML is shown as it was given. A page follows the screen in being light or
/// dark.
#[derive(Debug, Clone)]
pub struct Page {
    title: String,
    body: String,
}

impl Page {
    /// Begins a page, whose title is also its first heading.
    pub fn new(title: &str) -> Self {
        let title = escaped(title);
        Self { body: format!("<h1>{title}</h1>\n"), title }
    }

    /// Adds a heading.
    pub fn heading(&mut self, text: &str) -> &mut Self {
        self.add(format_args!("<h2>{}</h2>\n", escaped(text)))
    }

    /// Adds a paragraph. Line breaks in it stay.
    pub fn paragraph(&mut self, text: &str) -> &mut Self {
        self.add(format_args!("<p>{}</p>\n", escaped(text).replace('\n', "<br>\n")))
    }

    /// Adds a paragraph in which code stands between backticks.
    pub fn prose(&mut self, text: &str) -> &mut Self {
        self.add(format_args!("<p>{}</p>\n", with_code(text)))
    }

    /// Adds a paragraph that stands out, with code between backticks.
    pub fn note(&mut self, text: &str) -> &mut Self {
        self.add(format_args!("<p class=\"note\">{}</p>\n", with_code(text)))
    }

    /// Adds lines that a program has printed, as they are.
    pub fn output(&mut self, text: &str) -> &mut Self {
        self.add(format_args!("<pre class=\"output\"><samp>{}</samp></pre>\n", escaped(text)))
    }

    /// Adds lines as they are, in letters of equal width: commands, and what they print.
    pub fn code(&mut self, text: &str) -> &mut Self {
        self.add(format_args!("<pre><code>{}</code></pre>\n", escaped(text)))
    }

    /// Adds a list of points.
    pub fn list<S: AsRef<str>>(&mut self, points: &[S]) -> &mut Self {
        let points: String = points.iter().map(|point| format!("<li>{}</li>\n", escaped(point.as_ref()))).collect();
        self.add(format_args!("<ul>\n{points}</ul>\n"))
    }

    /// Adds a table. The first column is names. The others are figures, and stand to the right, unless there is none
    /// among them.
    pub fn table<H: AsRef<str>, C: AsRef<str>>(&mut self, headers: &[H], rows: &[Vec<C>]) -> &mut Self {
        let is_figure = |cell: &C| cell.as_ref().starts_with(|c: char| c.is_ascii_digit() || "+-~.".contains(c));
        let has_figures = |column| rows.iter().any(|row: &Vec<C>| row.get(column).is_some_and(is_figure));
        let class: Vec<_> =
            (0..headers.len()).map(|column| if has_figures(column) { "" } else { " class=\"words\"" }).collect();
        let cells = |tag: &str, texts: &mut dyn Iterator<Item = &str>| -> String {
            let classes = class.iter().copied().chain(std::iter::repeat(""));
            texts.zip(classes).map(|(text, class)| format!("<{tag}{class}>{}</{tag}>", escaped(text))).collect()
        };
        let head = cells("th", &mut headers.iter().map(AsRef::as_ref));
        let rows: String =
            rows.iter().map(|row| format!("<tr>{}</tr>\n", cells("td", &mut row.iter().map(AsRef::as_ref)))).collect();
        self.add(format_args!(
            "<div class=\"wide\"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n"
        ))
    }

    /// Adds a picture that [`svg`](crate::svg) has drawn, and what there is to say of it. The picture is taken as it
    /// is.
    pub fn chart(&mut self, svg: &str, caption: &str) -> &mut Self {
        self.add(format_args!("<figure>\n{svg}\n<figcaption>{}</figcaption>\n</figure>\n", escaped(caption)))
    }

    fn add(&mut self, html: fmt::Arguments<'_>) -> &mut Self {
        // Writing to a string does not fail.
        let _ = self.body.write_fmt(html);
        self
    }
}

impl fmt::Display for Page {
    /// Writes the whole file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { title, body } = self;
        let (light, dark) = (palette::variables(false), palette::variables(true));
        write!(
            f,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<link rel=\"icon\" href=\"data:,\">\n\
             <title>{title}</title>\n<style>\n:root{{{light}}}\n@media(prefers-color-scheme:dark){{:root{{{dark}}}}}\n\
             {RULES}</style>\n</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
        )
    }
}

/// How a page looks, in the variables of the palette.
const RULES: &str = "\
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,'DejaVu Sans',Verdana,sans-serif}
main{max-width:900px;margin:0 auto;padding:24px 16px 64px}
h1{font-size:1.7em;line-height:1.25;margin:.4em 0 .6em}
h2{font-size:1.25em;margin:1.8em 0 .5em;padding-bottom:.2em;border-bottom:1px solid var(--grid)}
p,li{overflow-wrap:anywhere}
.note{padding:8px 14px;border-left:4px solid var(--muted);font-weight:600}
.output{border-left:4px solid var(--muted)}
code,samp{font-family:ui-monospace,'DejaVu Sans Mono',Consolas,monospace;font-size:.88em}
pre{overflow-x:auto;padding:10px 14px;border:1px solid var(--grid);border-radius:6px}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-size:.86em;font-variant-numeric:tabular-nums}
th,td{padding:3px 12px 3px 0;text-align:right;white-space:nowrap;border-bottom:1px solid var(--grid)}
th:first-child,td:first-child,.words{text-align:left}
th{color:var(--muted);font-weight:600}
figure{margin:1.2em 0}
figure svg{display:block;width:100%;height:auto;border:1px solid var(--grid);border-radius:6px}
figcaption{color:var(--muted);font-size:.92em;margin-top:.4em}
";

/// A text in which nothing is HTML but what stands between backticks: that is code.
fn with_code(text: &str) -> String {
    let parts = text.split('`').map(escaped).enumerate();
    parts.map(|(at, part)| if at % 2 == 1 { format!("<code>{part}</code>") } else { part }).collect()
}

/// A text in which nothing is HTML.
pub(crate) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe += "&amp;",
            '<' => safe += "&lt;",
            '>' => safe += "&gt;",
            '"' => safe += "&quot;",
            '\'' => safe += "&#39;",
            // What XML has no place for, and HTML shows as nothing.
            c if c.is_control() && c != '\n' && c != '\t' => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_html_is_shown_as_it_is() {
        let evil = "<script>alert('1')</script>&\"\u{1b}";
        let mut page = Page::new(evil);
        page.heading(evil)
            .paragraph(evil)
            .code(evil)
            .list(&[evil])
            .prose(evil)
            .note(evil)
            .output(evil)
            .table(&[evil], &[vec![evil]])
            .chart("<svg></svg>", evil);
        let text = page.to_string();
        assert!(!text.contains("<script") && !text.contains('\u{1b}'), "{text}");
        let safe = "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;&quot;\u{fffd}";
        assert_eq!(text.matches(safe).count(), 12, "{text}");
        assert_eq!(text.matches("<svg").count(), 1);
    }

    #[test]
    fn figures_stand_to_the_right_and_words_to_the_left() {
        let mut page = Page::new("title");
        page.table(&["name", "ms", "how"], &[vec!["a", "1.5", "well"], vec!["b", "-", "(so)"]]);
        let text = page.to_string();
        assert!(text.contains("<td>1.5</td><td class=\"words\">well</td>"), "{text}");
        assert!(text.contains("<td>-</td><td class=\"words\">(so)</td>"), "{text}");
    }

    #[test]
    fn a_page_needs_no_other_file() {
        let mut page = Page::new("title");
        page.paragraph("one\ntwo");
        let text = page.to_string();
        assert!(!text.contains("http") && !text.contains("src="), "{text}");
        assert!(text.contains("prefers-color-scheme:dark") && text.contains("one<br>"), "{text}");
    }
}
