//! Roles in a site, and what each permits.

use serde::{Deserialize, Serialize};

/// A role in a site, or administrator of its network; each includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Role {
    /// May read.
    Consumer,
    /// And create; change and delete what they created.
    Contributor,
    /// And change anything, check anything out.
    Collaborator,
    /// And delete anything, empty the trash, break locks, manage members.
    Manager,
    /// Everything in the network: quotas, limits, accounts, agents, audit.
    Administrator,
}

/// Something that a role may or may not permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Permission {
    /// See a node and its content.
    Read,
    /// Make a node in a folder.
    Create,
    /// Change a node.
    Change,
    /// Delete a node.
    Delete,
    /// Manage the site: its members, its trash.
    Manage,
    /// Administer the network.
    Administer,
}

impl Role {
    /// Whether the role permits it. `own` says that the caller created the node in question.
    #[must_use]
    pub const fn permits(self, permission: Permission, own: bool) -> bool {
        let least = match permission {
            Permission::Read => Self::Consumer,
            Permission::Create => Self::Contributor,
            Permission::Change if own => Self::Contributor,
            Permission::Delete if own => Self::Contributor,
            Permission::Change => Self::Collaborator,
            Permission::Delete | Permission::Manage => Self::Manager,
            Permission::Administer => Self::Administrator,
        };
        self as u8 >= least as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_permit_what_the_table_says() {
        use Permission::{Administer, Change, Create, Delete, Manage, Read};
        let table = [
            (Role::Consumer, [true, false, false, false, false, false], [false, false]),
            (Role::Contributor, [true, true, false, false, false, false], [true, true]),
            (Role::Collaborator, [true, true, true, false, false, false], [true, true]),
            (Role::Manager, [true, true, true, true, true, false], [true, true]),
            (Role::Administrator, [true, true, true, true, true, true], [true, true]),
        ];
        for (role, others, own) in table {
            let permitted = [Read, Create, Change, Delete, Manage, Administer].map(|p| role.permits(p, false));
            assert_eq!(permitted, others, "{role:?}");
            assert_eq!([Change, Delete].map(|p| role.permits(p, true)), own, "{role:?}");
        }
    }
}
