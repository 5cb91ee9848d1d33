//! Signing in and out, and one's own account.

use super::RequestBackend;
use crate::{service::access, web::auth};
use contract::{account::AccountView, backend::Sessions, error::AppError, session::Me};

#[async_trait::async_trait]
impl Sessions for RequestBackend {
    async fn me(&self) -> Result<Option<Me>, AppError> {
        Ok(self.caller.as_ref().map(access::me))
    }

    async fn sso(&self) -> Result<Option<String>, AppError> {
        Ok(self.services.sso.as_ref().map(|sso| sso.name.clone()))
    }

    async fn sign_in(&self, email: &str, password: &str) -> Result<(), AppError> {
        let user = access::sign_in(
            &self.services,
            email,
            password.to_owned().into(),
            &self.address,
            &self.browser,
        )
        .await?;
        self.begin(user).await
    }

    async fn sign_out(&self) -> Result<(), AppError> {
        auth::end(&self.session).await
    }

    async fn account(&self) -> Result<AccountView, AppError> {
        access::account(&self.services, self.caller()?, self.session_key().as_deref()).await
    }

    async fn change_password(&self, current: &str, new: &str) -> Result<(), AppError> {
        let (current, new) = (current.to_owned().into(), new.to_owned().into());
        let session = self.session_key();
        access::change_password(&self.services, self.caller()?, current, new, session.as_deref()).await
    }

    async fn sign_out_everywhere(&self) -> Result<(), AppError> {
        access::sign_out_everywhere(&self.services, self.caller()?).await?;
        auth::end(&self.session).await
    }
}
