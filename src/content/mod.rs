//! Cutting documents into chunks, and the manifests that list the chunks. Pure functions over bytes.
