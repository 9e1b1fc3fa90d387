//! `mapio man`: pages of the manual, made of the definitions that the help is made of.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, ValueHint};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use mapio_chart::Target;

use crate::manual;
use crate::output::{self, Answer};

/// Print the manual's page mapio(1), or write one for each command
///
/// The pages in DIR are mapio.1, mapio-copy.1 and so on, down to mapio-shared-create.1. Pages that are there are
/// replaced; what can't be written is refused before any page is. Exit status: 0 done, 2 error.
#[derive(Debug, Args)]
#[command(after_help = "\
Example: mapio man > mapio.1
Example: mapio man --dir man1")]
pub(crate) struct Arguments {
    /// Write a page for each command to this folder
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    dir: Option<PathBuf>,
}

impl Arguments {
    pub(crate) fn run(&self) -> anyhow::Result<Answer> {
        let mut command = manual::described();
        command.build();
        match &self.dir {
            None => drop(output::bytes(&page(&command)?.1)?),
            Some(folder) => {
                let pages = pages(&command)?;
                write(folder, &pages)?;
                output::line(&format!("{} pages in {}", pages.len(), output::name(folder)))?;
            }
        }
        Ok(Answer::Yes)
    }
}

/// Pages: the name of the file, and what is in it.
type Pages = Vec<(String, Vec<u8>)>;

/// The pages of a command and of all below it.
fn pages(command: &clap::Command) -> anyhow::Result<Pages> {
    let mut pages = vec![page(command)?];
    for below in command.get_subcommands() {
        pages.extend(self::pages(below)?);
    }
    Ok(pages)
}

/// The page of a command.
fn page(command: &clap::Command) -> anyhow::Result<(String, Vec<u8>)> {
    let version = env!("CARGO_PKG_VERSION");
    let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    // What stands behind the help has a section of its own, and so has no place in a section without a name.
    let man = Man::new(command.clone().after_help(None::<&str>));
    let title = name(command).to_uppercase();
    // A blank for the date, since what is written must not differ from day to day.
    let man = man.title(title).date(" ").source(format!("mapio {version}")).manual("Manual of mapio");
    let mut page = Vec::new();
    let rendered = man.render(&mut page).and_then(|()| examples_and_others(&examples, command).to_writer(&mut page));
    rendered.context("making a page of the manual")?;
    Ok((man.get_filename(), page))
}

/// What a page is called: `mapio-copy`.
fn name(command: &clap::Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

/// The sections at the end.
fn examples_and_others(examples: &str, command: &clap::Command) -> Roff {
    let mut end = Roff::new();
    end.control("SH", ["EXAMPLES"]);
    for (number, example) in examples.lines().enumerate() {
        if number > 0 {
            end.control("PP", []);
        }
        end.text([bold(example.trim_start_matches("Example: "))]);
    }
    let also = match name(command).rsplit_once('-') {
        Some((above, _)) => format!("{above}(1)"),
        None => "mmap(2), cp(1)".to_owned(),
    };
    end.control("SH", ["SEE ALSO"]);
    end.text([roman(also)]);
    end
}

/// Writes all pages or none: each to a file of another name first. Giving them their names can only fail with the disk.
fn write(folder: &Path, pages: &Pages) -> anyhow::Result<()> {
    let opening = || format!("opening {}", output::name(folder));
    if !fs::metadata(folder).with_context(opening)?.is_dir() {
        bail!("{}: it is not a folder", opening());
    }
    let targets = pages.iter().map(|(name, _)| Target::new(&folder.join(name))).collect::<Result<Vec<_>, _>>()?;
    let staged = targets.iter().zip(pages).map(|(target, (_, page))| target.stage(page));
    for page in staged.collect::<Result<Vec<_>, _>>()? {
        page.publish()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_has_a_page_with_its_options_and_examples() {
        let mut command = manual::described();
        command.build();
        let pages = pages(&command).unwrap();
        let page = |name: &str| {
            let (_, page) = pages.iter().find(|(other, _)| other == name).unwrap_or_else(|| panic!("{name}"));
            String::from_utf8(page.clone()).unwrap().replace('\\', "")
        };
        let first = page("mapio.1");
        assert!(first.contains(".TH MAPIO 1 "), "{first}");
        // In the order of the front page.
        let places = ["mapio-copy(1)", "mapio-pages(1)", "mapio-shared(1)"].map(|name| first.find(name));
        assert!(places.is_sorted() && places[0].is_some(), "{first}");
        assert!(page("mapio-shared-create.1").contains("fB--size"));
        let copy = page("mapio-copy.1");
        for part in ["fB-a", "fB--io-limit", "-r is the same", "only mapio has", "Examples", "what cp does"] {
            assert!(copy.to_lowercase().contains(&part.to_lowercase()), "{part}: {copy}");
        }
        assert!(pages.iter().all(|(name, _)| !name.contains("help")));
    }
}
