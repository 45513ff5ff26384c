//! Every recipe is a rule that can be used: it passes the check without a warning, and its tests pass.

use std::fs;
use std::path::Path;

use crate::docs::{blocks, folder_of};
use crate::program::{both, stanch, stdout};

#[test]
fn every_recipe_passes_check_and_its_own_tests() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/recipes.md")).unwrap();
    let recipes: Vec<&str> = text.split("\n## ").skip(1).collect();
    assert!(recipes.len() >= 10, "{}", recipes.len());
    for recipe in recipes {
        let title = recipe.lines().next().unwrap();
        let blocks = blocks(recipe);
        assert_eq!(blocks.iter().filter(|(words, _)| words == "yaml").count(), 1, "{title} is one rule file");
        let folder = folder_of(&blocks[0].1);
        let checked = stanch(folder.path()).args(["check", "--deny", "warnings"]).output().unwrap();
        assert_eq!(checked.status.code(), Some(0), "{title}: {}", both(&checked));
        let tested = stanch(folder.path()).arg("test").output().unwrap();
        assert_eq!(tested.status.code(), Some(0), "{title}: {}", both(&tested));
        assert!(!stdout(&tested).contains("rules without a test"), "{title}: {}", both(&tested));
    }
}
