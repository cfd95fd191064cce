//! What `#[cached]` makes of a function: the same function, which asks the database for a result before it computes one.

use proc_macro2::TokenStream;
use quote::quote;
use syn::meta::ParseNestedMeta;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::{Error, FnArg, Ident, ItemFn, LitInt, LitStr, Pat, Result, ReturnType, Token, Type};

/// What stands in the brackets of the attribute.
#[derive(Default)]
struct Said {
    /// In seconds.
    ttl: Option<LitInt>,
    version: Option<LitInt>,
    reads: Vec<LitStr>,
}

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let mut said = Said::default();
    syn::meta::parser(|meta| said.add(&meta)).parse2(arguments)?;
    let function: ItemFn = syn::parse2(item)?;
    check(&function)?;
    let (database, values) = names(&function)?;
    let ItemFn { attrs, vis, sig, block } = &function;
    let output = &sig.output;
    let name = sig.ident.to_string();
    let version = match &said.version {
        Some(version) => quote!(#version),
        None => {
            let hash = hash(&quote!(#function).to_string());
            quote!(#hash)
        }
    };
    let ttl = said.ttl.map(|ttl| quote!(.ttl(::std::time::Duration::from_secs(#ttl))));
    let tables = &said.reads;
    Ok(quote! {
        #(#attrs)* #vis #sig {
            const FUNCTION: ::reedbase::CachedFunction<'static> =
                ::reedbase::CachedFunction::new(concat!(module_path!(), "::", #name))
                    .version(#version) #ttl .reads(&[#(#tables),*]);
            let call = ::reedbase::CachedCall::of(&FUNCTION, &(#(&#values,)*))?;
            #database.cached(call, |#database: &::reedbase::Database| #output #block)
        }
    })
}

impl Said {
    fn add(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        if meta.path.is_ident("ttl") {
            self.ttl = Some(meta.value()?.parse()?);
        } else if meta.path.is_ident("version") {
            self.version = Some(meta.value()?.parse()?);
        } else if meta.path.is_ident("reads") {
            let content;
            syn::parenthesized!(content in meta.input);
            self.reads.extend(Punctuated::<LitStr, Token![,]>::parse_terminated(&content)?);
        } else {
            return Err(meta.error("expected `ttl = 3600`, `reads(\"table\")` or `version = 2`"));
        }
        Ok(())
    }
}

fn check(function: &ItemFn) -> Result<()> {
    let sig = &function.sig;
    if let Some(asyncness) = sig.asyncness {
        return Err(Error::new_spanned(asyncness, "a cached function is not async"));
    }
    if sig.generics.type_params().next().is_some() || sig.generics.const_params().next().is_some() {
        let message = "a cached function has no type parameters: its results would be mixed up";
        return Err(Error::new_spanned(&sig.generics, message));
    }
    let gives_result = match &sig.output {
        ReturnType::Type(_, kind) => match &**kind {
            Type::Path(path) => {
                path.path.segments.last().is_some_and(|it| it.ident.to_string().ends_with("Result"))
            }
            _ => false,
        },
        ReturnType::Default => false,
    };
    if !gives_result {
        return Err(Error::new_spanned(sig, "a cached function gives a `Result`"));
    }
    Ok(())
}

/// The name of the database, and those of the other values.
fn names(function: &ItemFn) -> Result<(Ident, Vec<Ident>)> {
    let wrong = || {
        Error::new_spanned(
            &function.sig,
            "a cached function takes the database first: `db: &Database`",
        )
    };
    let mut names = Vec::new();
    for input in &function.sig.inputs {
        let FnArg::Typed(typed) = input else { return Err(wrong()) };
        let Pat::Ident(pattern) = &*typed.pat else {
            return Err(Error::new_spanned(&typed.pat, "a value of a cached function has a name"));
        };
        if names.is_empty() && !matches!(&*typed.ty, Type::Reference(_)) {
            return Err(wrong());
        }
        names.push(pattern.ident.clone());
    }
    let mut names = names.into_iter();
    Ok((names.next().ok_or_else(wrong)?, names.collect()))
}

/// FNV-1a (Fowler, Noll, Vo), 64 bits: enough to tell one text of a function from the next.
fn hash(text: &str) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325;
    text.bytes().fold(start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(arguments: TokenStream, item: TokenStream) -> String {
        expand(arguments, item).unwrap_err().to_string()
    }

    #[test]
    fn what_cannot_be_cached_says_why() {
        let none = TokenStream::new;
        let good = quote!(
            fn f(db: &Database, city: &str) -> Result<f64> {
                sum(db, city)
            }
        );
        assert!(
            expand(quote!(ttl = 60, reads("orders", "cities"), version = 2), good.clone()).is_ok()
        );
        assert_eq!(
            error(quote!(tll = 3), good),
            "expected `ttl = 3600`, `reads(\"table\")` or `version = 2`"
        );
        let first = "a cached function takes the database first: `db: &Database`";
        assert_eq!(
            error(
                none(),
                quote!(
                    fn f() -> Result<f64> {
                        Ok(1.0)
                    }
                )
            ),
            first
        );
        assert_eq!(
            error(
                none(),
                quote!(
                    fn f(city: String) -> Result<f64> {
                        Ok(1.0)
                    }
                )
            ),
            first
        );
        assert_eq!(
            error(
                none(),
                quote!(
                    fn f(&self) -> Result<f64> {
                        Ok(1.0)
                    }
                )
            ),
            first
        );
        let item = quote!(
            fn f(db: &Database) -> f64 {
                1.0
            }
        );
        assert_eq!(error(none(), item), "a cached function gives a `Result`");
        let item = quote!(
            async fn f(db: &Database) -> Result<f64> {
                Ok(1.0)
            }
        );
        assert_eq!(error(none(), item), "a cached function is not async");
        let item = quote!(
            fn f(db: &Database, (a, b): (u8, u8)) -> Result<u8> {
                Ok(a)
            }
        );
        assert_eq!(error(none(), item), "a value of a cached function has a name");
        let item = quote!(
            fn f<T: Default>(db: &Database) -> Result<T> {
                Ok(T::default())
            }
        );
        assert!(error(none(), item).starts_with("a cached function has no type parameters"));
    }

    #[test]
    fn another_text_is_another_version() {
        let expanded = |item| expand(TokenStream::new(), item).unwrap().to_string();
        let one = quote!(
            fn f(db: &Database) -> Result<u8> {
                Ok(1)
            }
        );
        let other = quote!(
            fn f(db: &Database) -> Result<u8> {
                Ok(2)
            }
        );
        let version = |text: String| {
            let from = text.find("version").unwrap();
            text[from..].split(')').next().unwrap().to_owned()
        };
        assert_ne!(version(expanded(one.clone())), version(expanded(other)));
        assert_eq!(version(expanded(one.clone())), version(expanded(one)));
    }
}
