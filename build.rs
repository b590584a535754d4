//! Compiles `proto/` without a system `protoc` and writes the descriptor set that reflection serves.

use std::{error::Error, fs, path::PathBuf};

use prost::Message as _;

fn main() -> Result<(), Box<dyn Error>> {
    // Also for packages in `tests/` that compile the sources once more.
    let proto = if fs::exists("proto")? { "proto" } else { "../../proto" };
    println!("cargo:rerun-if-changed={proto}");
    let mut files: Vec<PathBuf> =
        fs::read_dir(format!("{proto}/skybridge/v1"))?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    files.sort();
    let descriptors = protox::compile(&files, [proto])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    fs::write(out.join("skybridge.v1.descriptors.bin"), descriptors.encode_to_vec())?;
    let mut config = tonic_prost_build::Config::new();
    // Messages know their names, so that commands can print any of them as JSON by way of the descriptors.
    config.enable_type_names();
    tonic_prost_build::configure().bytes(".skybridge.v1").compile_fds_with_config(descriptors, config)?;
    Ok(())
}
