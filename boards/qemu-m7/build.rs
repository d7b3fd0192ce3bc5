//! Where memory is, and which operators `bench` links.

fn main() {
    nervelet_board_build::run();
}
