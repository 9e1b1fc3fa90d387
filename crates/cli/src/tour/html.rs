//! The pages of a tour as one page of HTML, which stands alone.

use anyhow::Context;
use mapio_chart::svg;

use super::page::{Block, Page};

/// The whole file.
///
/// # Errors
/// A chart can't be drawn.
pub(super) fn render(pages: &[Page]) -> anyhow::Result<String> {
    let mut html = mapio_chart::Page::new("mapio tour");
    html.prose(
        "Memory-mapped I/O, step by step. All that is shown was done, and measured, on the machine that `mapio \
         tour --html` ran on.",
    );
    for page in pages {
        html.heading(&format!("{}. {}", page.number, page.title));
        for block in &page.blocks {
            match block {
                Block::Text(text) => html.prose(text),
                Block::Code(lines) => html.code(lines),
                Block::Output(lines) => html.output(lines),
                Block::Table(table) => html.table(&table.head, &table.rows),
                Block::Chart(chart, caption) => {
                    html.chart(&svg(std::slice::from_ref(chart)).context("drawing a chart")?, caption)
                }
                Block::Picture(svg, caption) => html.chart(svg, caption),
                Block::Missing(reason) => html.prose(&format!("Not here: {reason}")),
                Block::Failed(reason) => html.note(&format!("This step has failed: {reason}")),
                Block::Remember(text) => html.note(&format!("Remember: {text}")),
            };
        }
    }
    Ok(html.to_string())
}
