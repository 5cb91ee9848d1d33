//! Who may do what, as one table ([`table`]): every use case, through every door that offers it ([`doors`]), for everybody. A use case, a
//! server function, a field of GraphQL's or a route without a line fails the test ([`complete`]). What streams tell whom has a
//! table of its own ([`streams`]). [`place`] is where all of it is asked.

mod complete;
mod doors;
mod place;
mod streams;
mod table;

pub(crate) use self::{
    doors::{Answer, Door, Said, Who, ask, session},
    place::document,
    table::TABLE,
};

use place::Place;

/// Who asks, in the order of the letters.
pub(crate) const WHO: [&str; 17] = [
    "nobody",
    "a token of another workspace's administrator",
    "a viewer's token",
    "a developer's token",
    "an approver's token",
    "an administrator's token",
    "a token for blog",
    "a token for production",
    "another workspace's administrator",
    "a viewer",
    "a developer",
    "an approver",
    "an administrator",
    "an approver in the group release",
    "an administrator who is a viewer in the project",
    "a viewer who is an administrator in the project",
    "an administrator from whom the project is hidden",
];

/// The letters of a line, one for each of [`WHO`].
fn letters(line: &str) -> Vec<char> {
    let letters: Vec<char> = line.chars().filter(|letter| *letter != ' ').collect();
    assert_eq!(letters.len(), WHO.len(), "a letter for everybody: {line}");
    letters
}

#[tokio::test]
async fn everybody_may_what_the_table_says() {
    let place = Place::new().await;
    let mut who = place.everybody().await;
    let mut wrong = Vec::new();
    for (line, name, door) in TABLE {
        for (n, letter) in letters(line).into_iter().enumerate() {
            let wanted = match letter {
                's' => Answer::SignIn,
                'h' => Answer::Hidden,
                'r' => Answer::Refused,
                '-' | '+' => Answer::May,
                other => panic!("{name}: what is {other:?}?"),
            };
            let said = ask(&place.routes, *door, &who[n], &|text| place.fill(text, n)).await;
            if said.answer != wanted || (letter == '+' && !said.is_done) {
                let (answer, text) = (said.answer, said.text);
                wrong.push(format!(
                    "{name} {door:?}, {}: {answer:?} instead of {letter}: {text}",
                    WHO[n]
                ));
            }
        }
        if name.starts_with("sign_out") {
            who = place.everybody().await;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
