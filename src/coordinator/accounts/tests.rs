//! Signing in, tokens, and what is never told.

use std::sync::Arc;
use std::time::Duration;

use argon2::Params;

use super::*;
use crate::coordinator::fixture::{ADA, Fixture, PASSWORD};
use crate::model::{Fault, FaultKind, TokenId};
use crate::sys::RealWorld;

async fn attempt(fixture: &Fixture, email: &str, password: &str) -> Result<SignedIn, Fault> {
    let context = &fixture.context;
    let attempt = SignIn {
        email: email.to_owned(),
        password: password.to_owned(),
        label: String::new(),
        from: Some([127, 0, 0, 1].into()),
        token: context.mint(),
    };
    sign_in(&context.store, &context.passwords, &context.attempts, &*context.world, attempt, context.now()).await
}

#[tokio::test]
async fn s_a07_a_wrong_password_and_an_unknown_address_are_answered_alike() {
    let fixture = Fixture::new().await;
    let signed_in = attempt(&fixture, "Ada@Example.com", PASSWORD).await.unwrap();
    assert_eq!(signed_in.account.email, ADA);
    let wrong = attempt(&fixture, ADA, "wrong password").await.unwrap_err();
    let unknown = attempt(&fixture, "eve@example.com", PASSWORD).await.unwrap_err();
    assert_eq!(wrong.kind, FaultKind::Unauthenticated);
    assert_eq!(wrong, unknown);
}

#[tokio::test]
async fn too_many_attempts_at_one_account_have_to_wait() {
    let fixture = Fixture::new().await;
    for _ in 0..10 {
        fixture.context.attempts.count(None, ADA).unwrap();
    }
    let limited = attempt(&fixture, ADA, PASSWORD).await.unwrap_err();
    assert_eq!(limited.kind, FaultKind::Exhausted);
    assert!(limited.retry_after.is_some_and(|delay| delay <= Duration::from_secs(6)), "{limited:?}");
    assert_eq!(attempt(&fixture, "eve@example.com", PASSWORD).await.unwrap_err().kind, FaultKind::Unauthenticated);
}

#[tokio::test]
async fn a_token_works_until_it_ends_is_revoked_or_its_account_ends() {
    let fixture = Fixture::new().await;
    let (context, now) = (&fixture.context, fixture.context.now());
    let signed_in = attempt(&fixture, ADA, PASSWORD).await.unwrap();
    let text = signed_in.secret.expose().to_owned();
    let (text, token) = (text.as_str(), signed_in.token);
    let works = |at| context.read(|read| Ok(verify_token(read, text, at)?)).unwrap().is_some();
    assert!(works(now) && !works(token.expires));
    assert!(context.read(|read| Ok(verify_token(read, "skyb_00", now)?)).unwrap().is_none());

    let (account, id) = (token.account, token.id);
    context.transact(move |tx| Ok(revoke_token(tx, account, id)?)).await.unwrap();
    assert!(!works(now));
    context.transact(move |tx| Ok(revoke_token(tx, account, id)?)).await.unwrap();

    let secret = draw(&*context.world);
    let (hash, id) = (secret.hash(), context.mint::<TokenId>());
    let new = NewToken { id, account, label: String::new(), scope: Scope::Read, expires: token.expires };
    context.transact(move |tx| issue(tx, hash, &new, now)).await.unwrap();
    let is_known = || context.read(|read| Ok(verify_token(read, secret.expose(), now)?)).unwrap().is_some();
    assert!(is_known());
    context.transact(move |tx| Ok(revoke_all_tokens(tx, account, None)?)).await.unwrap();
    assert!(!is_known());
}

#[tokio::test]
async fn secrets_are_not_shown() {
    let fixture = Fixture::new().await;
    let signed_in = attempt(&fixture, ADA, PASSWORD).await.unwrap();
    let shown = format!("{signed_in:?}");
    assert!(!shown.contains(signed_in.secret.expose()) && !shown.contains("argon2"), "{shown}");
    assert!(signed_in.secret.expose().starts_with("skyb_"));
}

#[tokio::test]
async fn passwords_have_a_least_and_a_greatest_length() {
    let passwords = Passwords::new(Arc::new(RealWorld), Params::DEFAULT).unwrap();
    for password in ["short".to_owned(), "x".repeat(2_000)] {
        let fault = passwords.hash("new_password", password).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Invalid { field: "new_password".into() });
    }
}
