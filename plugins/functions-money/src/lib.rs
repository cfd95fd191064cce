//! Functions for amounts of money. They count with decimal numbers, exactly (the crate `rust_decimal`), and give texts with two
//! digits behind the point, half a cent rounded away from zero.
//!
//! ```text
//! money_discount(price, percent)
//! money_sum, money_avg, money_min, money_max, money_count     of a column; what is no number does not count
//! ```

#![forbid(unsafe_code)]

use reedbase_plugin_api::{Aggregate, Error, Function, FunctionSet, Result, Value, ValueRef};
use rust_decimal::{Decimal, RoundingStrategy};

/// The functions for amounts of money.
#[derive(Debug, Clone, Copy, Default)]
pub struct MoneyFunctions;

impl FunctionSet for MoneyFunctions {
    fn id(&self) -> &str {
        "money"
    }

    fn functions(&self) -> Vec<Function> {
        let gathering =
            |name, finish| Function::aggregate(name, 1..=1, move || Gathered::new(finish));
        vec![
            Function::scalar("money_discount", 2..=2, |values| {
                let [price, percent] = values else { return Ok(Value::Null) };
                match (price.text()?, percent.text()?) {
                    (Some(price), Some(percent)) => {
                        calculate_discount(&price, &percent).map(Value::from)
                    }
                    _ => Ok(Value::Null),
                }
            }),
            gathering("money_sum", |amounts| sum(amounts).map(Some)),
            gathering("money_avg", average),
            gathering("money_min", |amounts| Ok(amounts.iter().min().copied())),
            gathering("money_max", |amounts| Ok(amounts.iter().max().copied())),
            Function::aggregate("money_count", 1..=1, Counted::default),
        ]
    }
}

/// What becomes of the amounts of many rows.
type Finish = fn(&[Decimal]) -> Result<Option<Decimal>>;

/// The amounts of many rows.
struct Gathered {
    amounts: Vec<Decimal>,
    finish: Finish,
}

impl Gathered {
    fn new(finish: Finish) -> Self {
        Self { amounts: Vec::new(), finish }
    }
}

impl Aggregate for Gathered {
    fn add(&mut self, values: &[ValueRef<'_>]) -> Result<()> {
        self.amounts.extend(values.first().copied().and_then(amount_of));
        Ok(())
    }

    fn finish(&mut self) -> Result<Value> {
        Ok((self.finish)(&self.amounts)?.map(written).into())
    }
}

/// How many rows have an amount.
#[derive(Default)]
struct Counted(i64);

impl Aggregate for Counted {
    fn add(&mut self, values: &[ValueRef<'_>]) -> Result<()> {
        self.0 += i64::from(values.first().copied().and_then(amount_of).is_some());
        Ok(())
    }

    fn finish(&mut self) -> Result<Value> {
        Ok(self.0.into())
    }
}

fn amount_of(value: ValueRef<'_>) -> Option<Decimal> {
    amount(&value.text().ok()??).ok()
}

fn amount(text: &str) -> Result<Decimal> {
    let text = text.trim();
    let parsed = text.parse::<Decimal>().or_else(|_| Decimal::from_scientific(text));
    parsed.map_err(|_| Error::invalid(format!("`{text}` is no amount")))
}

fn written(amount: Decimal) -> String {
    let rounded = amount.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero);
    format!("{rounded:.2}")
}

fn sum(amounts: &[Decimal]) -> Result<Decimal> {
    let sum = amounts.iter().try_fold(Decimal::ZERO, |sum, amount| sum.checked_add(*amount));
    sum.ok_or_else(|| Error::invalid("the sum has more than 28 digits"))
}

fn average(amounts: &[Decimal]) -> Result<Option<Decimal>> {
    let count = Decimal::from(amounts.len() as u64);
    Ok(sum(amounts)?.checked_div(count))
}

/// A price after so many percent were taken off.
///
/// # Errors
/// [`InvalidInput`](reedbase_plugin_api::ErrorKind::InvalidInput) if one of them is no number.
pub fn calculate_discount(price: &str, percent: &str) -> Result<String> {
    let (price, percent) = (amount(price)?, amount(percent)?);
    let left = Decimal::ONE_HUNDRED.checked_sub(percent);
    let after = left.and_then(|left| price.checked_mul(left)?.checked_div(Decimal::ONE_HUNDRED));
    after.map(written).ok_or_else(|| Error::invalid("the price has more than 28 digits"))
}

/// The sum, the average, the least and the largest of amounts, and how many there are: what is no number does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "it is made here and read elsewhere")]
pub struct Summary {
    /// How many amounts there are.
    pub count: usize,
    /// Their sum.
    pub sum: String,
    /// Their average; `None` if there are none.
    pub avg: Option<String>,
    /// The least one.
    pub min: Option<String>,
    /// The largest one.
    pub max: Option<String>,
}

/// Sums amounts up.
///
/// # Errors
/// [`InvalidInput`](reedbase_plugin_api::ErrorKind::InvalidInput) for a sum of more than 28 digits.
pub fn summarize<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Summary> {
    let amounts: Vec<_> = texts.into_iter().filter_map(|text| amount(text).ok()).collect();
    Ok(Summary {
        count: amounts.len(),
        sum: written(sum(&amounts)?),
        avg: average(&amounts)?.map(written),
        min: amounts.iter().min().copied().map(written),
        max: amounts.iter().max().copied().map(written),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact_and_half_a_cent_goes_up() {
        assert_eq!(calculate_discount("0.15", "50").unwrap(), "0.08");
        assert_eq!(calculate_discount("-0.15", "50").unwrap(), "-0.08");
        assert_eq!(calculate_discount("1e2", "0").unwrap(), "100.00");
        let many = summarize(std::iter::repeat_n("0.1", 1000)).unwrap();
        assert_eq!((many.sum.as_str(), many.avg.as_deref()), ("100.00", Some("0.10")));
        let none = summarize(["x", ""]).unwrap();
        assert_eq!((none.count, none.sum.as_str(), none.avg, none.min), (0, "0.00", None, None));
        let large = "9".repeat(28);
        assert!(
            summarize([
                large.as_str(),
                large.as_str(),
                large.as_str(),
                large.as_str(),
                large.as_str(),
                large.as_str(),
                large.as_str(),
                large.as_str(),
                large.as_str()
            ])
            .is_err()
        );
    }
}
