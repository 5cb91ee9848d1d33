//! Why the workloads of promotions weren't well, as it was seen last.

use super::{
    StoreError,
    dialect::{Dialect, Stored},
    rows::{from_json, text, to_json},
    tx::{SqlTx, run},
};
use async_trait::async_trait;
use domain::{id::PromotionId, plan::Illness};
use sqlx::{ColumnIndex, Encode, Executor, IntoArguments, Type};

/// What can be read and written of illnesses in a transaction.
#[async_trait]
pub trait Illnesses: Send {
    /// What was wrong with a promotion's workload when it was looked at last; `None` when nothing ever was.
    async fn illness(&mut self, promotion: PromotionId) -> Result<Option<Illness>, StoreError>;
    /// Writes what is wrong.
    async fn set_illness(&mut self, promotion: PromotionId, illness: &Illness) -> Result<(), StoreError>;
}

const ILLNESS: &str = "SELECT illness FROM illnesses WHERE promotion_id = $1";
const SET_ILLNESS: &str = "INSERT INTO illnesses (promotion_id, illness) VALUES ($1, $2) \
     ON CONFLICT (promotion_id) DO UPDATE SET illness = excluded.illness";

#[async_trait]
impl<D: Dialect> Illnesses for SqlTx<D>
where
    for<'c> &'c mut D::Connection: Executor<'c, Database = D>,
    D::Arguments: IntoArguments<D>,
    usize: ColumnIndex<D::Row>,
    str: Type<D>,
    String: Stored<D>,
    for<'v> &'v str: Encode<'v, D>,
{
    async fn illness(&mut self, promotion: PromotionId) -> Result<Option<Illness>, StoreError> {
        let stored = sqlx::query_scalar::<D, String>(ILLNESS)
            .bind(promotion.to_string())
            .fetch_optional(&mut self.tx)
            .await?;
        stored.map(|json| from_json("illness", &json)).transpose()
    }

    async fn set_illness(&mut self, promotion: PromotionId, illness: &Illness) -> Result<(), StoreError> {
        let json = text(&to_json("illness", illness)?);
        run!(self, SET_ILLNESS, promotion.to_string(), json)?;
        Ok(())
    }
}
