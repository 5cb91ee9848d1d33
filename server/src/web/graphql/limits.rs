//! What a query may be before the library looks at it.
//!
//! The library's parser calls itself for each bracket, and its first looks at a query follow each fragment wherever it is spread, also
//! one that is spread twice in another that is spread twice: thirty such lines are a thousand million fields. So brackets are counted
//! before a query is parsed, and fragments before it is handed on.

use crate::nesting::{self, MOST, TooDeep};
use async_graphql::{
    Name, Positioned, ServerError,
    parser::{
        self,
        types::{ExecutableDocument, FragmentDefinition, Selection, SelectionSet},
    },
};
use std::collections::HashMap;

/// Most fields and spreads of a query, fragments counted as often as they are spread.
const MOST_SELECTIONS: usize = 5000;

/// Parses a query.
///
/// # Errors
/// When it is no GraphQL, nested too deeply, or larger than it looks.
pub fn read(query: &str) -> Result<ExecutableDocument, ServerError> {
    nesting::check_graphql(query).map_err(|error| ServerError::new(words(error), None))?;
    let document = parser::parse_query(query)?;
    let mut fragments = Fragments {
        all: &document.fragments,
        sizes: HashMap::new(),
    };
    let mut size = 0_usize;
    // Those that nothing spreads are looked at as well, by the library too.
    let names = document.fragments.keys();
    for (_, operation) in document.operations.iter() {
        size = size.saturating_add(fragments.size_of(&operation.node.selection_set, 0)?);
    }
    for name in names {
        fragments.size(name, 0)?;
    }
    if size > MOST_SELECTIONS {
        let why = format!("The query asks for more than {MOST_SELECTIONS} fields. Ask for fewer at once.");
        return Err(ServerError::new(why, None));
    }
    Ok(document)
}

/// The sentence for a request that is nested too deeply.
pub(super) fn words(error: TooDeep) -> String {
    format!("The request can't be read: {error}.")
}

struct Fragments<'a> {
    all: &'a HashMap<Name, Positioned<FragmentDefinition>>,
    /// Of those that were counted; `None` while one is.
    sizes: HashMap<&'a Name, Option<usize>>,
}

impl<'a> Fragments<'a> {
    /// How much a fragment comes to where it is spread. Fragments spread in it count as levels.
    fn size(&mut self, name: &Name, depth: usize) -> Result<usize, ServerError> {
        // Unknown names are refused with the other rules.
        let Some((name, fragment)) = self.all.get_key_value(name) else {
            return Ok(0);
        };
        match self.sizes.get(name) {
            Some(Some(size)) => return Ok(*size),
            Some(None) => {
                let why = format!("The fragment {name} is spread within itself.");
                return Err(ServerError::new(why, Some(fragment.pos)));
            }
            None => {}
        }
        self.sizes.insert(name, None);
        let size = self.size_of(&fragment.node.selection_set, depth + 1)?;
        self.sizes.insert(name, Some(size));
        Ok(size)
    }

    fn size_of(&mut self, set: &'a Positioned<SelectionSet>, depth: usize) -> Result<usize, ServerError> {
        if depth > MOST {
            let line = set.pos.line;
            return Err(ServerError::new(words(TooDeep { line }), Some(set.pos)));
        }
        let mut size = 0_usize;
        for selection in &set.node.items {
            let inner = match &selection.node {
                Selection::Field(field) => self.size_of(&field.node.selection_set, depth + 1)?,
                Selection::InlineFragment(fragment) => self.size_of(&fragment.node.selection_set, depth + 1)?,
                Selection::FragmentSpread(spread) => self.size(&spread.node.fragment_name.node, depth)?,
            };
            size = size.saturating_add(1).saturating_add(inner);
        }
        Ok(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn refusal(query: &str) -> String {
        let began = Instant::now();
        let refusal = read(query).unwrap_err().message;
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
        refusal
    }

    #[test]
    fn what_is_nested_too_deeply_is_refused_before_it_is_parsed() {
        for many in [65, 1_000, 100_000] {
            for nested in [
                format!("{}a{}", "{ a ".repeat(many), "}".repeat(many)),
                format!("{{ a(b: {}1{}) }}", "[".repeat(many), "]".repeat(many)),
                format!("{{ a(b: {}1{}) }}", "{c: ".repeat(many), "}".repeat(many)),
                format!("query($a: {}Int{}) {{ a }}", "[".repeat(many), "]".repeat(many)),
                format!("{}a{}", "{ ... ".repeat(many), "}".repeat(many)),
                "{ a ".repeat(many),
            ] {
                let refusal = refusal(&nested);
                assert!(refusal.contains("line 1 is nested too deeply"), "{refusal}");
            }
        }
    }

    #[test]
    fn fragments_are_counted_where_they_are_spread() {
        let doubling = |fragments: usize| {
            let mut query = String::from("{ ...f0 }");
            for n in 0..fragments {
                query += &format!(" fragment f{n} on Query {{ ...f{0} ...f{0} }}", n + 1);
            }
            query + &format!(" fragment f{fragments} on Query {{ __typename }}")
        };
        assert!(read(&doubling(5)).is_ok());
        assert!(refusal(&doubling(30)).contains("more than 5000 fields"));
        let chain: String = (0..10_000)
            .map(|n| format!("fragment f{n} on Query {{ ...f{} }} ", n + 1))
            .collect();
        assert!(refusal(&format!("{{ a }} {chain}")).contains("nested too deeply"));
        let cycle = "{ a } fragment f on Query { ...g ...g } fragment g on Query { ...f ...f }";
        assert!(refusal(cycle).contains("within itself"));
    }

    #[test]
    fn what_is_no_query_is_said_by_the_parser() {
        assert!(refusal("{ a").contains("expected"));
        assert!(read("{ a ...b ... on Query { c } }").is_ok());
    }
}
