//! Pages that are made from tables in the sources are what the tables say.

use std::path::Path;

#[test]
fn the_page_of_extensions_is_the_table() {
    let head = "# Extensions\n\n<!-- Made from the table in src/xep/mod.rs; a test keeps both the same. -->\n\n\
                What Rhapsode speaks beside RFC 6120, RFC 6121, RFC 7395 and RFC 7622.\n\n";
    fresh("docs/xeps.md", &format!("{head}{}", rhapsode::xep::table_markdown()));
}

#[test]
fn the_page_of_script_functions_is_the_table() {
    fresh("docs/script-api.md", &rhapsode::script::api::reference_markdown());
}

#[test]
fn the_page_of_configuration_keys_is_the_table() {
    fresh("docs/configuration.md", &rhapsode::config::schema::reference_markdown());
}

#[test]
fn the_description_of_the_project_is_made_of_the_table() {
    fresh("docs/doap.xml", &rhapsode::xep::table_doap());
}

#[test]
fn the_page_of_diagnostics_is_made_of_the_pages() {
    fresh("docs/diagnostics.md", &rhapsode::diagnostic::pages::reference_markdown());
}

/// Compares a page with what it should be; writes it with `RHAPSODE_BLESS=1`.
fn fresh(page: &str, wanted: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    if std::env::var_os("RHAPSODE_BLESS").is_some() {
        std::fs::write(&path, wanted).expect("the folder of pages is there");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == wanted, "{page} is not what the table says; run this test with RHAPSODE_BLESS=1");
}
