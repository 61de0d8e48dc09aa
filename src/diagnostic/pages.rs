//! What each named problem means: the text of `rhapsode explain` and of `docs/diagnostics.md`.

mod config;
mod script;

use std::fmt::Write as _;

/// A problem by its stable name.
#[derive(Debug)]
pub struct Page {
    /// `script::plain_string`.
    pub name: &'static str,
    /// One line: lower case, no full stop.
    pub meaning: &'static str,
    /// Why it is one and what to do, in Markdown.
    pub text: &'static str,
}

const fn page(name: &'static str, meaning: &'static str, text: &'static str) -> Page {
    Page { name, meaning, text }
}

/// Every page, by name.
pub fn all() -> impl Iterator<Item = &'static Page> {
    config::PAGES.iter().chain(script::PAGES)
}

/// The page of that name; the part behind `::` is enough where it is the only one.
pub fn find(name: &str) -> Option<&'static Page> {
    let exact = all().find(|page| page.name == name);
    exact.or_else(|| {
        let mut short = all().filter(|page| page.name.split("::").nth(1) == Some(name));
        short.next().filter(|_| short.next().is_none())
    })
}

impl Page {
    /// The page as Markdown.
    pub fn markdown(&self) -> String {
        format!("## {}\n\n{}.\n\n{}\n", self.name, first_upper(self.meaning), self.text.trim())
    }
}

/// All pages as one.
pub fn reference_markdown() -> String {
    let mut page = String::from(
        "# Diagnostics\n\n<!-- Made from the pages in src/diagnostic/pages; a test keeps both the same. -->\n\n\
         What `check` and the log can say, by its stable name. `rhapsode explain NAME` prints one of these pages.\n\n\
         | name | meaning |\n|---|---|\n",
    );
    for Page { name, meaning, .. } in all() {
        // Writing into a string cannot fail.
        let _ = writeln!(page, "| [`{name}`](#{}) | {meaning} |", name.replace("::", ""));
    }
    for found in all() {
        let _ = write!(page, "\n{}", found.markdown());
    }
    page
}

fn first_upper(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    /// Every name that stands in the sources has a page, and every page a name.
    #[test]
    fn every_diagnostic_has_a_page_and_every_page_a_diagnostic() {
        let mut used = BTreeSet::new();
        collect(Path::new("src"), &mut used);
        let pages: BTreeSet<String> = all().map(|page| page.name.to_owned()).collect();
        assert!(used.len() > 60, "{used:?}");
        let missing: Vec<_> = used.difference(&pages).collect();
        let idle: Vec<_> = pages.difference(&used).collect();
        assert!(missing.is_empty() && idle.is_empty(), "no page: {missing:?}; never said: {idle:?}");
    }

    #[test]
    fn pages_are_in_order_and_have_words() {
        for part in [config::PAGES, script::PAGES] {
            assert!(part.windows(2).all(|pair| pair[0].name < pair[1].name), "by name, please");
        }
        for page in all() {
            assert!(page.text.trim().len() > 40, "{}", page.name);
            assert!(!page.meaning.ends_with('.') && !page.meaning.is_empty(), "{}", page.name);
        }
    }

    #[test]
    fn a_page_is_found_by_a_short_name_that_is_the_only_one() {
        assert_eq!(find("plain_string").map(|page| page.name), Some("script::plain_string"));
        assert!(find("syntax").is_none(), "there are two");
        assert!(find("nothing").is_none());
    }

    fn collect(folder: &Path, names: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).expect("src is readable") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                if !path.ends_with("pages") {
                    collect(&path, names);
                }
                continue;
            }
            let text = fs::read_to_string(&path).expect("sources are UTF-8");
            let code = text.find("#[cfg(test)]\nmod tests {").map_or(&text[..], |at| &text[..at]);
            for area in ["\"config::", "\"script::"] {
                for (at, _) in code.match_indices(area) {
                    let name: String = code[at + 1..]
                        .chars()
                        .take_while(|c| c.is_ascii_lowercase() || matches!(c, ':' | '_'))
                        .collect();
                    if code[at + 1 + name.len()..].starts_with('"') && !name.ends_with(':') {
                        names.insert(name);
                    }
                }
            }
        }
    }
}
