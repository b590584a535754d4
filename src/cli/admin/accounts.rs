//! `admin account …`.

use crate::{
    cli::{
        Globals,
        account::Password,
        connect::Cloud,
        text::{self, Table, printable},
    },
    wire::pb,
};

/// Accounts.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Account {
    /// Create an account in a network
    Create {
        /// The network
        network: String,
        /// Its address; of a program any name that looks like one
        email: String,
        /// A program's account: it has no password, only tokens
        #[arg(long, conflicts_with = "password_stdin")]
        service: bool,
        /// Make it an administrator of the network
        #[arg(long)]
        administrator: bool,
        /// What people see [default: the address]
        #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
        display_name: String,
        #[command(flatten)]
        password: Password,
    },
    /// List the accounts of a network
    List {
        /// The network
        network: String,
    },
    /// End an account: its tokens and sign-in stop at once
    Disable {
        /// The network
        network: String,
        /// Its address
        email: String,
    },
    /// Give an ended account back
    Enable {
        /// The network
        network: String,
        /// Its address
        email: String,
    },
    /// Change your own password; the first line of standard input is the old one and the second the new
    Password {
        /// End all other tokens as well, and what agents do for you
        #[arg(long)]
        revoke_all: bool,
        #[command(flatten)]
        password: Password,
    },
}

/// Accounts asked for at a time.
const PAGE_SIZE: i32 = 1_000;

/// Runs `admin account …`.
pub(super) async fn run(globals: &Globals, command: Account) -> anyhow::Result<()> {
    let cloud = globals.cloud().await?;
    match command {
        Account::Create { network, email, service, administrator, display_name, password } => {
            let password = if service { String::new() } else { password.read(format!("Password for {}: ", printable(&email))).await? };
            let request_id = uuid::Uuid::new_v4().to_string();
            let request = pb::CreateAccountRequest { network, email, display_name, password, service, administrator, request_id };
            let answer = cloud.accounts().create_account(request).await?.into_inner();
            globals.output.print(&answer, |answer| table(answer.account.as_slice()))
        }
        Account::List { network } => {
            let accounts = list(&cloud, network).await?;
            globals.output.print(&pb::ListAccountsResponse { accounts, next_page_token: String::new() }, |answer| table(&answer.accounts))
        }
        Account::Disable { network, email } => set_disabled(globals, &cloud, network, email, true).await,
        Account::Enable { network, email } => set_disabled(globals, &cloud, network, email, false).await,
        Account::Password { revoke_all, password } => {
            let old_password = password.read("Old password: ".to_owned()).await?;
            let new_password = password.read("New password: ".to_owned()).await?;
            let request = pb::ChangePasswordRequest { old_password, new_password, revoke_all };
            let answer = cloud.accounts().change_password(request).await?.into_inner();
            globals.output.print(&answer, |_| "the password is changed\n".to_owned())
        }
    }
}

async fn list(cloud: &Cloud, network: String) -> anyhow::Result<Vec<pb::Account>> {
    let mut request = pb::ListAccountsRequest { network, page_size: PAGE_SIZE, page_token: String::new() };
    let mut all = Vec::new();
    loop {
        let page = cloud.accounts().list_accounts(request.clone()).await?.into_inner();
        all.extend(page.accounts);
        if page.next_page_token.is_empty() {
            return Ok(all);
        }
        request.page_token = page.next_page_token;
    }
}

async fn set_disabled(globals: &Globals, cloud: &Cloud, network: String, email: String, disabled: bool) -> anyhow::Result<()> {
    let request = pb::SetAccountDisabledRequest { network, email, disabled };
    let answer = cloud.accounts().set_account_disabled(request).await?.into_inner();
    globals.output.print(&answer, |answer| table(answer.account.as_slice()))
}

fn table(accounts: &[pb::Account]) -> String {
    let mut table = Table::new(&["EMAIL", "NAME", "PROGRAM", "DISABLED"]);
    for account in accounts {
        let (service, disabled) = (text::yes(account.service).to_owned(), text::yes(account.disabled).to_owned());
        table.row([account.email.clone(), account.display_name.clone(), service, disabled]);
    }
    table.render_or("no accounts")
}
