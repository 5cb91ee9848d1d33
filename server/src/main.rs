//! The one binary, `waybill`.

fn main() -> std::process::ExitCode {
    server::cli::main()
}
