//! A PostgreSQL of one's own, and its end.

use std::path::Path;
use testbed::Postgres;

#[test]
fn each_asks_for_a_database_and_nothing_is_left_behind() {
    let server = Postgres::shared().unwrap();
    let (one, two) = (server.database().unwrap(), server.database().unwrap());
    assert!(one.url().starts_with("postgres://waybill@%2F"), "{}", one.url());
    assert_ne!(one.url(), two.url());
    drop((one, two));

    let own = Postgres::start().unwrap();
    let directory = own.directory().to_owned();
    let file = std::fs::read_to_string(directory.join("data/postmaster.pid")).unwrap();
    let process = Path::new("/proc").join(file.lines().next().unwrap());
    assert!(process.exists());
    drop(own);
    assert!(!directory.exists() && !process.exists());
}
